"""Record what a person, a user or HubSpot said about messages; the gate that every send must pass.

The parts, each in its own module: hearing (HubSpot's properties; what contacts show), said (people and staff), gate
(check, explain, prove) and optouts, optout_plan, optout_push (to HubSpot).
"""

from __future__ import annotations

from mercuri.engine.gate import Checked as Checked
from mercuri.engine.gate import Explained as Explained
from mercuri.engine.gate import check as check
from mercuri.engine.gate import explain as explain
from mercuri.engine.gate import proof as proof
from mercuri.engine.hearing import Label as Label
from mercuri.engine.hearing import Observed as Observed
from mercuri.engine.hearing import contacts_changed as contacts_changed
from mercuri.engine.hearing import hear_newcomers as hear_newcomers
from mercuri.engine.hearing import hear_records as hear_records
from mercuri.engine.hearing import names_heard as names_heard
from mercuri.engine.hearing import properties_heard as properties_heard
from mercuri.engine.optout_push import push_outs as push_outs
from mercuri.engine.said import Recorded as Recorded
from mercuri.engine.said import record as record
from mercuri.engine.said import settle_pause as settle_pause
from mercuri.engine.said import staff_in as staff_in
from mercuri.engine.said import staff_out as staff_out
