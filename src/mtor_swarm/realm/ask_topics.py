"""What is said about asks, as ROS messages."""

from __future__ import annotations

from array import array

from std_msgs.msg import UInt8MultiArray

from mtor_swarm.realm import ask_wire
from mtor_swarm.realm.ask_wire import Said


def to_message(said: Said) -> UInt8MultiArray:
    """The message that says it; AskError if it is too long."""
    data = array("B")
    data.frombytes(ask_wire.encode(said))  # array("B", raw) would look at each byte
    return UInt8MultiArray(data=data)


def from_message(message: UInt8MultiArray) -> Said:
    """What the message says; AskError if nothing about an ask."""
    return ask_wire.decode(bytes(message.data))


def askid_in(message: UInt8MultiArray) -> str:
    """The id of the ask that it is about, without reading all of it; junk gives junk."""
    # An array's head, the tag, and the head of a string of 32: a byte, a byte, two bytes.
    return bytes(message.data[4:36]).decode("ascii", "replace")
