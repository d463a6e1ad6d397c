"""Who holds which e-mail address and which value of a property with unique values."""

from __future__ import annotations

from collections.abc import Iterable

from mercuri.sandbox.records import Record


class Holders:
    """Addresses (primary and additional) and unique values -> record id."""

    def __init__(self, unique_names: Iterable[str]) -> None:
        #: Names of the properties whose values are unique; the e-mail is apart.
        self.unique_names = list(unique_names)
        self._addresses: dict[str, int] = {}
        self._values: dict[str, dict[str, int]] = {}

    def of_address(self, address: str) -> int | None:
        """The contact that has this address."""
        return self._addresses.get(address.strip().lower())

    def of_value(self, name: str, value: str) -> int | None:
        """The contact that holds this value of a unique property."""
        return self._values.get(name, {}).get(value)

    def claim(self, record: Record) -> None:
        """All that the record holds is its own from now on."""
        for address in record.addresses:
            self._addresses[address] = record.id
        for name in self.unique_names:
            value = record.values.get(name)
            if value:
                self._values.setdefault(name, {})[value] = record.id

    def release(self, record: Record, *, keep_values: bool = False) -> None:
        """All that the record holds is free again, its unique values only when they are not kept."""
        for address in record.addresses:
            if self._addresses.get(address) == record.id:
                del self._addresses[address]
        if keep_values:
            return
        for name in self.unique_names:
            value = record.values.get(name)
            if value and self.of_value(name, value) == record.id:
                del self._values[name][value]
