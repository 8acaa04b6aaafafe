"""What is searched: configurations of the model that have no error, and mutations that each have one."""

from dataclasses import dataclass
from typing import Final

from formal.spin import Configuration

__all__ = ["CONFIGURATIONS", "MUTATIONS", "Mutation"]

_TWO: Final = "NT=2 OPS=1"
_THREE: Final = "NT=3 MOVERS=2 OPS=1"
_WANDERING: Final = "NT=2 OPS0=1 OPS=3 NW=3 LIMIT=2 WARM=2"

_CLOSED_AND_STRUCK: Final = "NT=2 MOVERS=1 OPS=2 VIEWS DISCARDS CLOSES=1 STRIKES=1"

CONFIGURATIONS: Final = (
    Configuration("two cursors, two moves each", "NT=2 OPS=2"),
    Configuration("two cursors and close", f"{_THREE} COLLECTS=0 CLOSES=1"),
    Configuration("two cursors, collect and close", f"{_THREE} CLOSES=1"),
    Configuration("two cursors and forced removal", f"{_THREE} DISCARDS"),
    Configuration("two cursors, collect, a failing call", f"{_THREE} FAILURES=1"),
    Configuration("two cursors, two failing calls", f"{_TWO} FAILURES=2"),
    Configuration("views, collect, removal and close", "NT=2 MOVERS=1 OPS=4 VIEWS DISCARDS COLLECTS=2 CLOSES=1"),
    Configuration("two cursors with views", "NT=2 OPS0=3 OPS=2 VIEWS"),
    Configuration("three windows, two handles, one cursor wanders", _WANDERING),
    Configuration(
        "three windows, two handles, with views",
        "NT=2 OPS0=1 OPS=4 NW=3 LIMIT=2 WARM=2 VIEWS",
        is_deep=True,
        gigabytes=14,
    ),
    Configuration("reads by a descriptor, one handle", "NT=2 OPS=2 READS"),
    Configuration("reads by a descriptor, two handles and close", f"{_THREE} READS LIMIT=2 COLLECTS=0 CLOSES=1"),
    Configuration("reads of two files, two handles", f"{_TWO} NFILES=2 LIMIT=2 READS FAILURES=1"),
    Configuration("reads, removal, close, a failing call", "NT=2 MOVERS=1 OPS=2 READS CLOSES=1 FAILURES=1 DISCARDS"),
    Configuration("an exception of a handler", f"{_TWO} STRIKES=1"),
    Configuration("an exception and a failing call", f"{_TWO} STRIKES=1 FAILURES=1"),
    Configuration("two exceptions", f"{_TWO} STRIKES=2"),
    Configuration("an exception, views, removal and close", _CLOSED_AND_STRUCK),
    Configuration("an exception and a reader", f"{_TWO} READS LIMIT=2 STRIKES=1"),
    Configuration("an exception, two cursors, collect", f"{_THREE} STRIKES=1", is_deep=True, gigabytes=14),
    Configuration("without a GIL", f"{_THREE} WITHOUT_GIL"),
    Configuration("without a GIL, views", "NT=2 OPS0=3 OPS=2 VIEWS WITHOUT_GIL"),
    Configuration("calls return: two cursors", _TWO, is_fair=True),
    Configuration("calls return: a failing call", f"{_TWO} FAILURES=1", is_fair=True),
    Configuration(
        "calls return: two cursors, collect and close", f"{_THREE} CLOSES=1", is_fair=True, is_deep=True, gigabytes=14
    ),
    Configuration("three cursors", "NT=3 OPS=1", is_deep=True, gigabytes=14),
    Configuration("two cursors, three moves each", "NT=2 OPS=3", is_deep=True, gigabytes=14),
)


@dataclass(frozen=True)
class Mutation:
    """A defect of the model, which the search must find."""

    name: str
    """As in tests/races/mutations.py, if the code is broken in the same way there."""
    macro: str
    bounds: str


MUTATIONS: Final = (
    Mutation("pins without looking for the tombstone", "DOES_NOT_LOOK", _THREE),
    Mutation("looks for the tombstone before it pins", "LOOKS_BEFORE_IT_PINS", _THREE),
    Mutation("unloads without looking for pins", "DOES_NOT_LOOK_FOR_PINS", _THREE),
    Mutation("looks for pins before it sets the tombstone", "LOOKS_FOR_PINS_FIRST", _THREE),
    Mutation("gives up after one victim that was pinned at the last moment", "GIVES_UP_AFTER_ONE_VICTIM", _WANDERING),
    Mutation("takes one look after the other for a snapshot", "TAKES_LOOKS_FOR_A_SNAPSHOT", _WANDERING),
    Mutation("maps though another thread is just mapping that window", "MAPS_WHAT_ANOTHER_MAPS", _TWO),
    Mutation("enters the tables without the lock", "ENTERS_WITHOUT_THE_LOCK", _TWO),
    Mutation("publishes to a manager that was closed meanwhile", "PUBLISHES_TO_A_CLOSED_MANAGER", f"{_THREE} CLOSES=1"),
    Mutation("does not wait for the end of an unload", "DOES_NOT_WAIT_FOR_AN_UNLOAD", _THREE),
    Mutation("does not wait for the end of a load", "DOES_NOT_WAIT_FOR_A_LOAD", f"{_TWO} FAILURES=1"),
    Mutation("forgets what is released while it drains", "FORGETS_WHAT_IS_RELEASED", _TWO),
    Mutation("counts a map outside of the lock", "COUNTS_OUTSIDE", _TWO),
    Mutation(
        "posts a failed load before its map is closed and its handle free",
        "POSTS_BEFORE_IT_CLOSES",
        f"{_THREE} CLOSES=1",
    ),
    Mutation(
        "does not look again at a region that a view kept mapped",
        "DOES_NOT_LOOK_AGAIN",
        "NT=2 OPS0=1 OPS=4 NW=3 LIMIT=2 WARM=2 VIEWS",
    ),
    Mutation("lets a discarded victim pass its room on to nobody", "DISCARDS_A_VICTIM", f"{_THREE} DISCARDS"),
    Mutation("loses a pin that is released under the lock", "LOSES_RELEASES", _TWO),
    Mutation("unlinks a region before its map is closed", "UNLINKS_FIRST", _TWO),
    Mutation("maps in the room of a victim that a view keeps", "TRUSTS_A_VICTIM_THAT_STAYS", "NT=2 OPS=2 VIEWS"),
    Mutation("wakes nobody who waits for a load", "WAKES_NO_WAITER", _TWO),
    Mutation("keeps a descriptor though no handle is free", "KEEPS_WITHOUT_A_HANDLE", _TWO),
    Mutation("closes a descriptor that a thread uses", "CLOSES_WHAT_IS_USED", f"{_TWO} READS"),
    Mutation("does not repair what an exception has torn", "DOES_NOT_REPAIR", f"{_TWO} STRIKES=1"),
    # Defects of the code that the model has shown (tests/unit/threads/test_model_checked_defects.py).
    Mutation("counts a load twice that was published", "COUNTS_A_PUBLISHED_LOAD_TWICE", f"{_TWO} STRIKES=1"),
    Mutation(
        "makes a call after it has published a map, and before it owns it",
        "CALLS_BETWEEN_PUBLISHING_AND_OWNING",
        f"{_TWO} STRIKES=1",
    ),
    Mutation("leaves a load in flight that was published", "LEAVES_A_PUBLISHED_LOAD_IN_FLIGHT", _CLOSED_AND_STRUCK),
    Mutation("counts a closed map as a leftover", "KEEPS_A_CLOSED_MAP_AS_A_LEFTOVER", _CLOSED_AND_STRUCK),
    Mutation("forgets no region that was discarded", "REMEMBERS_WHAT_WAS_DISCARDED", _CLOSED_AND_STRUCK),
)
