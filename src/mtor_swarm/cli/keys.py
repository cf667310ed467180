"""`mtor keys`: who belongs to the swarm."""

from __future__ import annotations

import argparse
import time
from typing import get_args

from rich.table import Table
from rich.text import Text

from mtor_swarm.cli.watching import console
from mtor_swarm.events import now_text
from mtor_swarm.swarm import keyring
from mtor_swarm.swarm.certificates import Role

DAY_S = 86400.0
_HELP = """\
Beyond one machine a swarm wants keys. You make its key once and keep that folder at home; with it
you issue each robot and each person a folder of their own, which is all that they carry:

  mtor keys new-swarm home                               the swarm's key: keep it, back it up
  mtor keys issue home --unit r1 --out r1-keys           a robot; copy r1-keys to it, and set
                                                         `swarm.keys` there to the copy
  mtor keys issue home --unit ada --role operator --out ada-keys
  mtor say --keys ada-keys --seed tcp://10.0.0.7:7400 "all units hold"

  mtor keys list home                                    who has what, and until when
  mtor keys issue home --unit r1 --out r1-keys           again: a new link key, the next generation
  mtor keys issue home --unit r1 --out r1.certificate    the same keys, longer: copy the file over
                                                         `certificate` in the robot's folder
  mtor keys revoke home r1 --into ada-keys               never again; whoever runs with ada-keys
                                                         tells the swarm. Hold r1 first: then
                                                         nothing that you say reaches it any more

Roles: unit (a robot), observer, viewer (see only), operator, sysop (their commands are obeyed).
To take a role away revoke whoever has it, for who has not seen the new certificate obeys the old.
A running member reads its folder again when a file in it changes.
"""


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `keys` to `mtor`'s commands; each of its own sets `run(args) -> exit code`."""
    parser = sub.add_parser(
        "keys",
        help="make a swarm's key; issue, revoke and list members",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inner = parser.add_subparsers(metavar="new-swarm|issue|revoke|list", required=True)
    add = inner.add_parser("new-swarm", help="make the key of a new swarm")
    add.add_argument("folder", metavar="DIR", help="the folder to make; it stays with you")
    add.set_defaults(run=_new_swarm)

    add = inner.add_parser("issue", help="certify a robot or a person, or renew one")
    _home(add)
    add.add_argument("--unit", required=True, metavar="NAME", help="what it is called")
    add.add_argument("--role", choices=get_args(Role), help="what it may do (default: unit)")
    add.add_argument(
        "--out",
        required=True,
        metavar="FILE_OR_DIR",
        help="the folder that it will carry; or NAME.certificate: that file alone",
    )
    add.add_argument(
        "--expires", type=_days, default=365.0, metavar="DAYS", help="valid for (default: 365)"
    )
    add.set_defaults(run=_issue)

    add = inner.add_parser("revoke", help="trust a member no more, for good")
    _home(add)
    add.add_argument("id", metavar="ID", help="its id, or its unit's name")
    add.add_argument(
        "--into",
        action="append",
        default=[],
        metavar="DIR",
        help="a member's folder that is to know it too; may be given several times",
    )
    add.set_defaults(run=_revoke)

    add = inner.add_parser("list", help="show who has a certificate, and until when")
    _home(add)
    add.set_defaults(run=_list)


def _home(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="the folder that new-swarm made")


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days <= 36500:
        raise argparse.ArgumentTypeError(f"{text}: give days, up to 36500")
    return days


def _new_swarm(args: argparse.Namespace) -> int:
    keyring.new_swarm(args.folder)
    print(f"{args.folder}: made. It goes on no robot: `mtor keys issue {args.folder} ...` next")
    return 0


def _issue(args: argparse.Namespace) -> int:
    until = time.time() + args.expires * DAY_S
    made = keyring.issue(args.folder, args.unit, args.role, args.out, until)
    print(
        f"{args.out}: {made.role} {made.unit}, id {made.id}, generation {made.generation}, "
        f"until {_day(until)}"
    )
    return 0


def _revoke(args: argparse.Namespace) -> int:
    gone = keyring.revoke(args.folder, args.id, time.time())
    for each in args.into:
        keyring.hand_on(args.folder, each)
    print(f"{gone.unit} ({gone.id}) is trusted no more")
    if not args.into:
        print(
            f"the swarm learns it from any running member whose keys folder {args.folder}/revoked "
            "is copied to"
        )
    return 0


def _list(args: argparse.Namespace) -> int:
    console().print(table(keyring.ledger(args.folder), time.time()))
    return 0


def table(members: list[keyring.Issued], wall_s: float) -> Table:
    """Who has a certificate, a row each."""
    found = Table("name", "role", "id", "generation", "until", "", box=None)
    for each in members:
        gone = "revoked" if each.revoked else "expired" if each.expires_s < wall_s else ""
        found.add_row(
            each.unit,
            each.role,
            each.id,
            str(each.generation),
            _day(each.expires_s),
            Text(gone, style="red"),
        )
    return found


def _day(wall_s: float) -> str:
    return now_text(wall_s)[:10]
