"""Find, merge and un-merge duplicates.

The parts, each in its own module: regrouping (the hooks that keep groups up to date), grouping (groups as people judge
them, and what they decide), merging, unmerging, bulk_merging, and hubspot_merging (the same merge, there).
"""

from __future__ import annotations

from mercuri.engine.bulk_merging import SafePreview as SafePreview
from mercuri.engine.bulk_merging import cancel_batch as cancel_batch
from mercuri.engine.bulk_merging import merge_safe as merge_safe
from mercuri.engine.bulk_merging import preview_safe as preview_safe
from mercuri.engine.bulk_merging import undo_batch as undo_batch
from mercuri.engine.bulk_merging import work_on_batches as work_on_batches
from mercuri.engine.grouping import GroupView as GroupView
from mercuri.engine.grouping import PossibleView as PossibleView
from mercuri.engine.grouping import SharedView as SharedView
from mercuri.engine.grouping import dismiss as dismiss
from mercuri.engine.grouping import dismiss_pair as dismiss_pair
from mercuri.engine.grouping import group as group
from mercuri.engine.grouping import groups_page as groups_page
from mercuri.engine.grouping import list_groups as list_groups
from mercuri.engine.grouping import possible_of as possible_of
from mercuri.engine.grouping import possible_pairs as possible_pairs
from mercuri.engine.grouping import reconsider as reconsider
from mercuri.engine.grouping import share as share
from mercuri.engine.grouping import shared_values as shared_values
from mercuri.engine.grouping import totals as totals
from mercuri.engine.grouping import unshare as unshare
from mercuri.engine.grouping import view as view
from mercuri.engine.hubspot_merging import decide_in_hubspot as decide_in_hubspot
from mercuri.engine.hubspot_merging import hubspot_merges_due as hubspot_merges_due
from mercuri.engine.merging import MergeDone as MergeDone
from mercuri.engine.merging import Proposal as Proposal
from mercuri.engine.merging import merge as merge
from mercuri.engine.merging import propose as propose
from mercuri.engine.regrouping import contacts_changed as contacts_changed
from mercuri.engine.regrouping import contacts_loaded as contacts_loaded
from mercuri.engine.regrouping import contacts_made as contacts_made
from mercuri.engine.regrouping import drain as drain
from mercuri.engine.regrouping import nightly_check as nightly_check
from mercuri.engine.regrouping import rebuild as rebuild
from mercuri.engine.unmerging import Unmerged as Unmerged
from mercuri.engine.unmerging import undo_merge as undo_merge
from mercuri.store.duplicates import GroupQuery as GroupQuery
