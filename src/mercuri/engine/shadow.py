"""The shadow: what of a record is remembered as last observed."""

from __future__ import annotations

from collections.abc import Mapping

#: Properties that tell about the record itself and change with every write.
_NOT_KEPT = frozenset({"hs_object_id", "lastmodifieddate", "createdate"})


def kept(properties: Mapping[str, str]) -> dict[str, str]:
    """What of a record's properties the shadow keeps."""
    return {name: value for name, value in properties.items() if name not in _NOT_KEPT}
