"""`mtor`: finds the command that is meant, and imports that one alone."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

from mtor_swarm import __version__
from mtor_swarm.errors import SwarmError

COMMANDS = {
    "sim": ("mtor_swarm.cli.sim", "run a swarm in the embedded simulator"),
    "up": ("mtor_swarm.cli.up", "run one unit's realm, and bring back what dies"),
    "gateway": ("mtor_swarm.cli.gateway", "serve the viewer of a running swarm"),
    "units": ("mtor_swarm.cli.units", "show who is there and what each unit does"),
    "events": ("mtor_swarm.cli.events_tail", "show events as they happen"),
    "say": ("mtor_swarm.cli.say", "tell units what to do, and see who did it"),
    "ask": ("mtor_swarm.cli.ask", "ask units' workers something"),
    "task": ("mtor_swarm.cli.task", "announce, list and cancel tasks"),
    "worker": ("mtor_swarm.cli.worker", "list, add, remove and restart workers of running units"),
    "rules": ("mtor_swarm.cli.rules", "check rules, and print what they would have done"),
    "config": ("mtor_swarm.cli.config_check", "check config files"),
    "doctor": ("mtor_swarm.cli.doctor", "show what the swarm refused, and what is lacking here"),
    "keys": ("mtor_swarm.cli.keys", "make a swarm's key; issue, revoke and list members"),
    "models": ("mtor_swarm.cli.models", "list, fetch and verify model weights"),
    "simnet": ("mtor_swarm.cli.simnet", "simulate the gossip of thousands of members"),
}
"""Each command, the module whose `register(sub)` adds it, and its line of help."""

GROUPS = {
    "run": ("sim", "up", "gateway"),
    "watch": ("units", "events", "doctor"),
    "command": ("say", "ask", "task"),
    "manage": ("worker", "rules", "config", "keys", "models"),
    "study": ("simnet",),
}

EXAMPLES = """\
examples:
  mtor sim                                   six units search for a cat; the page shows them
  mtor sim --headless --until mission.done   the same without a page; the exit code tells
  mtor units                                 who is there
  mtor events                                what happens, live
  mtor doctor                                what is wrong here, and what the swarm refused
  mtor say "all units hold"                  stop; each unit is named once it stands
  mtor say "all units release"               let them go on
  mtor ask                                   what can be asked of whom
  mtor worker list                           which workers units have, and how they are
  mtor config check FILE                     file, line and key of a mistake
  mtor keys new-swarm DIR                    the key of a swarm beyond one machine
  mtor models fetch                          fetch and verify model weights

`mtor COMMAND --help` tells more of each. Exit codes: 0 done, 1 not reached, 2 wrong use or input.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code. What a user can cause is one line on stderr, never a trace."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parser(words).parse_args(words)
        if not hasattr(args, "run"):
            return _help()
        code = int(args.run(args))
        sys.stdout.flush()
    except SwarmError as error:
        print(f"mtor: {error}", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has left (`mtor events | head`): keep the interpreter's own flush quiet.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _help() -> int:
    _parser([]).print_help()
    return 0


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """A parser that knows the command in `words` in full, and of the others their names."""
    parser = argparse.ArgumentParser(
        prog="mtor",
        usage="mtor [-h] [--version] COMMAND ...",
        description=_overview(),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mtor {__version__}")
    sub = parser.add_subparsers(prog="mtor", metavar="COMMAND", help=argparse.SUPPRESS)
    wanted = next((word for word in words if word in COMMANDS), "")
    for name, (module, _) in COMMANDS.items():
        if name == wanted:
            importlib.import_module(module).register(sub)
        else:
            sub.add_parser(name)
    return parser


def _overview() -> str:
    """What mtor is, and its commands by group."""
    lines = ["A swarm of robots that think for themselves, with no one in charge.", ""]
    for group, names in GROUPS.items():
        lines.append(f"{group}:")
        lines += [f"  {name:<9}{COMMANDS[name][1]}" for name in names]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
