"""The wanted fields of an engine's messages: everything else is skipped while their JSON is decoded.

An inspection of a real container has some two hundred fields, an event all labels. What is not as declared
here, or not JSON to msgspec, such as a lone surrogate, is left to the standard library: that is slow, and
rare, and nothing is lost.
"""

from __future__ import annotations

import json
from typing import Any, Generic, TypedDict, TypeVar

import msgspec

T = TypeVar("T")


class _Actor(TypedDict, total=False):
    ID: Any
    Attributes: Any


class _Event(TypedDict, total=False):
    Type: Any
    Action: Any
    Actor: _Actor
    timeNano: Any


class _Health(TypedDict, total=False):
    Status: Any
    Log: Any


class _State(TypedDict, total=False):
    Running: Any
    Restarting: Any
    OOMKilled: Any
    Pid: Any
    ExitCode: Any
    Error: Any
    StartedAt: Any
    FinishedAt: Any
    Health: _Health | None


class _Config(TypedDict, total=False):
    Image: Any
    Labels: Any
    StopSignal: Any
    StopTimeout: Any


class _RestartPolicy(TypedDict, total=False):
    Name: Any
    MaximumRetryCount: Any


class _HostConfig(TypedDict, total=False):
    Memory: Any
    CgroupParent: Any
    OomKillDisable: Any
    PidsLimit: Any
    RestartPolicy: _RestartPolicy | None


class _Inspection(TypedDict, total=False):
    Id: Any
    Name: Any
    Image: Any
    Created: Any
    RestartCount: Any
    State: _State
    Config: _Config
    HostConfig: _HostConfig | None


class _Row(TypedDict, total=False):
    Id: Any


class _Time(TypedDict, total=False):
    timeNano: Any


class Fields(Generic[T]):
    """Decoder of one kind of message, to those of its fields that are wanted."""

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(kind)

    def __call__(self, message: bytes) -> Any:
        """Return a message. Raises ValueError if it is not JSON, RecursionError if it is nested too deep."""
        try:
            return self._decoder.decode(message)
        except ValueError:
            return json.loads(message)


event = Fields(_Event)
event_time = Fields(_Time)
inspection = Fields(_Inspection)
container_list = Fields(list[_Row])
