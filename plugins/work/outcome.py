"""What an agent says of a command's end, or that it says nothing, as the outcome that is recorded: without secrets."""

from __future__ import annotations

from typing import Any

from roci import Outcome, now

from ..agent import wire
from ..agent.output import tail_of
from ..domain.operations import APPLICATION_KINDS, KEPT
from .run import Run

STREAMS = 64 * 1024  # bytes of stdout, and of stderr
WITHHELD = "(output withheld: the server was restarted and could not have hidden the secrets in it)"
UNFINISHED = 1  # exit code of what did not come to its end, as clients are told
LONGEST_REASON = 500
MOST = 2**31


def told(run: Run, result: wire.Result, is_safe: bool) -> Outcome:
    """As the agent tells it. `is_safe`: secrets are hidden, by the values we know or by the agent itself.

    Of what is done to a host, `run.raw` has the result with nothing hidden afterwards, where its secrets are known.
    """
    text = result.output or "\n".join(part for part in (result.stdout, result.stderr) if part)
    text = run.hide_end(text) or run.so_far if is_safe else WITHHELD
    status = next((word for word in ("timed_out", "cancelled", "interrupted") if result.data.get(word)), "failed")
    status = "succeeded" if result.success else status
    said = str(result.data.get("reason", ""))
    reason = run.hide(said[:2000])[:LONGEST_REASON]
    if status == "interrupted" and not (result.stdout or result.stderr) and result.output in ("", said):
        return untold(run, status, reason)  # it has forgotten what was printed
    exit_code = result.exit_code if result.exit_code is None or abs(result.exit_code) < MOST else None
    if run.operation.kind in APPLICATION_KINDS:
        return Outcome(status, text, exit_code, reason)
    exit_code = UNFINISHED if exit_code is None and status in ("cancelled", "interrupted") else exit_code
    return Outcome(status, text, exit_code, reason, _streams(run, result, text))


def _streams(run: Run, result: wire.Result, merged: str) -> dict[str, Any]:
    """What is kept of the two streams. Without the values to hide in them, only the text that they are both in."""
    took = min(max(result.duration_ms or 0, 0), MOST)
    if not run.secrets_known and run.operation.args.get("secrets"):
        return {"stdout": merged, "stderr": "", "duration_ms": took, "truncated": result.truncated}
    printed = result.stdout, result.stderr
    if not any(printed):  # an agent that does not keep them apart
        printed = (result.output, "") if result.success else ("", result.output)
    stdout, stderr = (tail_of(text, STREAMS) for text in printed)
    cut = result.truncated or len(stdout) < len(printed[0]) or len(stderr) < len(printed[1])
    more = {"duration_ms": took, "truncated": cut}
    if not result.data.get(wire.MASKED):
        run.raw = {"stdout": stdout, "stderr": stderr, **more}
    return {"stdout": run.hide(stdout, cut), "stderr": run.hide(stderr, cut), **more}


def untold(run: Run, status: str, reason: str) -> Outcome:
    """The end of a run that its agent does not tell: what it had printed, and why there is no more."""
    operation, text = run.operation, run.so_far
    if operation.kind in APPLICATION_KINDS:
        return Outcome(status, text, reason=reason)
    took = int((now() - (operation.started_at or operation.created_at)).total_seconds() * 1000)
    result = {"stdout": text, "stderr": reason, "duration_ms": min(max(took, 0), MOST), "truncated": len(text) >= KEPT}
    return Outcome(status, text, wire.TIMED_OUT if status == "timed_out" else UNFINISHED, reason, result)
