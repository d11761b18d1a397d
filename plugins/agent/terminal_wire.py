"""The messages of terminals. Neither end ever keeps more of one than is said here, whatever the other one does.

Output is counted in characters since the terminal's beginning: an agent sends no more than WINDOW beyond what the
server has said that it took. Input comes in numbered pieces, of which no more than PIECES may be under way. So both
ends can begin where they were when the link between them is taken up again. Only a host that names `terminal` among
its capabilities is sent any of these, and an agent sends none unasked.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

WINDOW = 128 * 1024  # characters of output under way
LONGEST_OUTPUT = 16 * 1024  # characters in one frame
PIECES, LONGEST_PIECE = 16, 4096  # of input under way; characters of each
KEEP = 60.0  # seconds that a terminal is kept while nobody is there to look at it
CAPABILITY = "terminal"
SHELLS = ("bash", "zsh", "fish", "ash", "sh")  # those there may be, in the order they are tried
MARK = "ROCI_TERMINAL"  # in the environment of a terminal in a container, to find its processes by

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Lines = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Message(msgspec.Struct, tag_field="type", omit_defaults=True, kw_only=True):
    """One text frame."""


# --- from the server ---------------------------------------------------------


class Terminal(Message, tag="terminal", kw_only=True):
    """Open one: a login shell of the agent's user, or a shell in a container. `shell`: one of SHELLS, else any."""

    terminal_id: str
    container: str | None = None
    shell: str = ""
    rows: Lines = 24
    cols: Lines = 80


class TerminalInput(Message, tag="terminal_input", kw_only=True):
    """The next piece of what was typed. One that was accepted before is passed over."""

    terminal_id: str
    seq: Count
    data: str


class TerminalResize(Message, tag="terminal_resize", kw_only=True):
    terminal_id: str
    rows: Lines
    cols: Lines


class TerminalTaken(Message, tag="terminal_taken", kw_only=True):
    """The output before `at` need not be kept."""

    terminal_id: str
    at: Count


class TerminalResume(TerminalTaken, tag="terminal_resume", kw_only=True):
    """After a new connection: go on with the output from `at`."""


class TerminalClose(Message, tag="terminal_close", kw_only=True):
    """End it, with all that runs in it."""

    terminal_id: str


# --- from the agent ----------------------------------------------------------


class TerminalOutput(Message, tag="terminal_output", kw_only=True):
    """A piece of output that ends at `at`; and the last piece of input that was passed on."""

    terminal_id: str
    at: Count
    data: str = ""
    taken: Count = 0


class TerminalEnded(Message, tag="terminal_ended", kw_only=True):
    """It is over, and all of its output was sent. Without an exit code it was ended, or never begun: `reason`."""

    terminal_id: str
    exit_code: int | None = None
    reason: str = ""


Asked = Terminal | TerminalInput | TerminalResize | TerminalTaken | TerminalResume | TerminalClose
Told = TerminalOutput | TerminalEnded
