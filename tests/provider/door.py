"""Talks to the plugin as the engine does, over gRPC: check, diff, then create, update or replace."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from local.provider.wire import UNKNOWN, decode_struct, encode_struct

Inputs = dict[str, Any]


class CheckFailed(Exception):
    """The plugin refused inputs: `failures` are (property, reason)."""

    def __init__(self, failures: list[tuple[str, str]]) -> None:
        super().__init__(failures)
        self.failures = failures

    def __str__(self) -> str:
        return "; ".join(f"{p}: {r}" for p, r in self.failures)


class InitFailed(Exception):
    """The resource exists and is not as asked."""

    def __init__(self, identity: str, state: Inputs, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.identity = identity
        self.state = state


@dataclass
class Held:
    """A resource as the engine's state holds it."""

    urn: str
    token: str
    identity: str = ""
    inputs: Inputs = field(default_factory=dict)
    state: Inputs = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.state[name]


@dataclass
class Planned:
    """What a diff says."""

    changes: dict[str, str]
    replaces: list[str]
    delete_first: bool

    @property
    def empty(self) -> bool:
        return not self.changes


class Door:
    """One configured provider behind its port."""

    def __init__(self, port: int) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)

    def configure(self, **args: Any) -> None:
        self.stub.Configure(provider_pb2.ConfigureRequest(args=encode_struct(args), acceptSecrets=True))

    def held(self, token: str, name: str = "it") -> Held:
        return Held(f"urn:pulumi:dev::project::{token}::{name}", token)

    def check(self, held: Held, inputs: Inputs) -> Inputs:
        answer = self.stub.Check(
            provider_pb2.CheckRequest(urn=held.urn, olds=encode_struct(held.inputs), news=encode_struct(inputs), randomSeed=b"seed")
        )
        if answer.failures:
            raise CheckFailed([(f.property, f.reason) for f in answer.failures])
        return decode_struct(answer.inputs)

    def diff(self, held: Held, checked: Inputs, ignore: tuple[str, ...] = ()) -> Planned:
        answer = self.stub.Diff(
            provider_pb2.DiffRequest(
                id=held.identity,
                urn=held.urn,
                olds=encode_struct(held.state),
                news=encode_struct(checked),
                old_inputs=encode_struct(held.inputs),
                ignoreChanges=ignore,
            )
        )
        kinds = {path: provider_pb2.PropertyDiff.Kind.Name(d.kind).lower() for path, d in answer.detailedDiff.items()}
        assert bool(kinds) == (answer.changes == provider_pb2.DiffResponse.DIFF_SOME)
        return Planned(kinds, list(answer.replaces), answer.deleteBeforeReplace)

    def preview(self, held: Held, inputs: Inputs) -> Planned:
        return self.diff(held, self.check(held, inputs))

    def planned(self, held: Held, inputs: Inputs) -> Inputs:
        """The outputs that a preview of a creation shows."""
        checked = self.check(held, inputs)
        answer = self.stub.Create(provider_pb2.CreateRequest(urn=held.urn, properties=encode_struct(checked), preview=True))
        return decode_struct(answer.properties)

    def up(self, held: Held, inputs: Inputs) -> Held:
        """Brings a resource to what the inputs say, as `pulumi up` does; returns it as it is then."""
        checked = self.check(held, inputs)
        if not held.identity:
            return self._create(held, checked)
        planned = self.diff(held, checked)
        if planned.replaces:
            if planned.delete_first:
                self.destroy(held)
                return self._create(held, checked)
            made = self._create(held, checked)
            self.destroy(held)
            return made
        if planned.empty:
            return held
        request = provider_pb2.UpdateRequest(
            id=held.identity,
            urn=held.urn,
            olds=encode_struct(held.state),
            news=encode_struct(checked),
            old_inputs=encode_struct(held.inputs),
        )
        answer = self._call(self.stub.Update, request)
        return Held(held.urn, held.token, held.identity, checked, decode_struct(answer.properties))

    def _create(self, held: Held, checked: Inputs) -> Held:
        answer = self._call(self.stub.Create, provider_pb2.CreateRequest(urn=held.urn, properties=encode_struct(checked)))
        return Held(held.urn, held.token, answer.id, checked, decode_struct(answer.properties))

    @staticmethod
    def _call(method: Any, request: Any) -> Any:
        try:
            return method(request)
        except grpc.RpcError as error:
            for key, value in error.trailing_metadata() or ():
                if key == "grpc-status-details-bin":
                    status = status_pb2.Status.FromString(value)
                    detail = provider_pb2.ErrorResourceInitFailed()
                    assert status.details[0].Unpack(detail)
                    raise InitFailed(detail.id, decode_struct(detail.properties), list(detail.reasons)) from error
            raise

    def refresh(self, held: Held) -> Held | None:
        """Reads the resource again; None if it is gone."""
        answer = self.stub.Read(
            provider_pb2.ReadRequest(
                id=held.identity, urn=held.urn, properties=encode_struct(held.state), inputs=encode_struct(held.inputs)
            )
        )
        if not answer.id:
            return None
        return Held(held.urn, held.token, answer.id, decode_struct(answer.inputs), decode_struct(answer.properties))

    def destroy(self, held: Held) -> None:
        self.stub.Delete(
            provider_pb2.DeleteRequest(
                id=held.identity, urn=held.urn, properties=encode_struct(held.state), old_inputs=encode_struct(held.inputs)
            )
        )

    def invoke(self, token: str, **args: Any) -> Inputs:
        answer = self.stub.Invoke(provider_pb2.InvokeRequest(tok=token, args=encode_struct(args)))
        return decode_struct(getattr(answer, "return"))

    def cycle(self, token: str, inputs: Inputs, update: Inputs | None = None, name: str = "it") -> Held:
        """Creates, sees that nothing differs before and after a refresh, updates in place, sees the same again."""
        held = self.up(self.held(token, name), inputs)
        self.settled(held, inputs)
        if update is not None:
            wanted = {**inputs, **update}
            planned = self.preview(held, wanted)
            assert not planned.empty, "the update changes nothing"
            assert not planned.replaces, planned
            before = held.identity
            held = self.up(held, wanted)
            assert held.identity == before
            self.settled(held, wanted)
        return held

    def settled(self, held: Held, inputs: Inputs) -> None:
        planned = self.preview(held, inputs)
        assert planned.empty, planned
        again = self.refresh(held)
        assert again is not None
        assert again.state == held.state
        assert again.inputs == held.inputs
        assert self.preview(again, inputs).empty

    def gone(self, held: Held) -> None:
        """Destroys the resource and sees that it is gone; a second time is no error."""
        self.destroy(held)
        assert self.refresh(held) is None
        self.destroy(held)


__all__ = ["UNKNOWN", "CheckFailed", "Door", "Held", "InitFailed", "Inputs", "Planned"]
