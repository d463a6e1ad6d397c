"""JSON as it lies in columns: compact, and readable in any language."""

from __future__ import annotations

import json

#: A value as JSON text.
dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
#: The value of a JSON text.
loads = json.loads
