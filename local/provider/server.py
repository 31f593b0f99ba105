"""The plugin's gRPC door: the engine's calls, turned into the operations of a resource type."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from local.provider import VERSION, config, operations
from local.provider.api import Api, Clients, Settings
from local.provider.check import checked
from local.provider.compare import Comparison, empty
from local.provider.diff import Difference, difference
from local.provider.errors import ConfigError, PartialError, ProviderError
from local.provider.functions import FUNCTIONS
from local.provider.resource import Properties, ResourceType
from local.provider.resources import TABLE
from local.provider.schema import type_schema
from local.provider.wire import contains_unknown, decode_struct, encode_struct

_Answer = TypeVar("_Answer")
_KINDS = {
    "add": (provider_pb2.PropertyDiff.ADD, provider_pb2.PropertyDiff.ADD_REPLACE),
    "update": (provider_pb2.PropertyDiff.UPDATE, provider_pb2.PropertyDiff.UPDATE_REPLACE),
    "delete": (provider_pb2.PropertyDiff.DELETE, provider_pb2.PropertyDiff.DELETE_REPLACE),
}


def _token(urn: str) -> str:
    return urn.split("::")[2].split("$")[-1]


def _logical(urn: str) -> str:
    return urn.split("::", 3)[3]


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One configured provider, as one plugin process would be."""

    def __init__(self, environment: Mapping[str, str], folder: Path, clients: Clients) -> None:
        self._environment = environment
        self._folder = folder
        self._clients = clients
        self._settings: Settings | None = None
        self._account = ""
        self._cancelled = threading.Event()

    # -- the provider itself ------------------------------------------------------------------------------------------------

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ProviderHandshakeResponse(supports_autonaming_configuration=True)

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "aws", "version": VERSION}))

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        news = decode_struct(request.news)
        problems = config.check({k: v for k, v in news.items() if k not in ("version", "pluginDownloadURL")}, self._environment)
        failures = [provider_pb2.CheckFailure(property=p, reason=r) for p, r in problems.found]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        old, new = decode_struct(request.olds), decode_struct(request.news)
        changed = sorted(k for k in {*old, *new} if old.get(k) != new.get(k))
        replaces = [k for k in changed if k == "region" and old.get(k) and not contains_unknown(new.get(k))]
        some = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some, diffs=changed, replaces=replaces)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        args = decode_struct(request.args)
        args.update({k.removeprefix("aws:config:"): v for k, v in request.variables.items() if k.removeprefix("aws:config:") not in args})
        if not contains_unknown(args):
            self._guard(context, "configuring the provider", lambda: self._configure(args))
        return provider_pb2.ConfigureResponse(**_capabilities(), supportsPreview=True)

    def _configure(self, args: Mapping[str, Any]) -> None:
        self._settings, self._account = config.resolve(args, self._environment, self._clients)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._cancelled.set()
        return empty_pb2.Empty()

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    # -- functions ----------------------------------------------------------------------------------------------------------

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        function = FUNCTIONS.get(request.tok)
        if function is None:
            self._fail(context, f"the local aws plugin does not have the function {request.tok}")
        args = decode_struct(request.args)
        answer = self._guard(context, f"invoking {request.tok}", lambda: function(self._api(args), args))
        return provider_pb2.InvokeResponse(**{"return": encode_struct(answer)})

    # -- resources ----------------------------------------------------------------------------------------------------------

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        token = _token(request.urn)
        kind = TABLE.get(token)
        if kind is None:
            reason = f"the local aws plugin does not have the resource type {token}"
            return provider_pb2.CheckResponse(inputs=request.news, failures=[provider_pb2.CheckFailure(reason=reason)])
        proposed = request.autonaming.proposed_name if request.HasField("autonaming") else ""
        old, new = self._decode(request.olds), self._decode(request.news)
        settings = self._settings or Settings(region="")
        inputs, problems = self._guard(
            context,
            f"checking {request.urn}",
            lambda: checked(kind, _logical(request.urn), old, new, settings, request.randomSeed, proposed or None),
        )
        failures = [provider_pb2.CheckFailure(property=p, reason=r) for p, r in problems.found]
        return provider_pb2.CheckResponse(inputs=encode_struct(inputs), failures=failures)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind = self._kind(context, request.urn)
        found = self._difference(kind, request)
        detailed = {}
        for path, change in found.changes.items():
            detailed[path] = provider_pb2.PropertyDiff(kind=_KINDS[change][path in found.replaces], inputDiff=False)
        some = provider_pb2.DiffResponse.DIFF_SOME if found.changes else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some,
            diffs=sorted(found.properties),
            replaces=sorted(found.replaces),
            deleteBeforeReplace=found.delete_first,
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def _difference(self, kind: ResourceType, request: Any) -> Difference:
        prior = self._decode(request.old_inputs) if request.HasField("old_inputs") else {}
        return difference(kind, self._decode(request.olds), prior, self._decode(request.news), list(request.ignoreChanges))

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind = self._kind(context, request.urn)
        inputs = self._decode(request.properties)
        if request.preview:
            planned = operations.planned(kind, inputs, None, set())
            return provider_pb2.CreateResponse(id="", properties=encode_struct(planned))
        what = f"creating {kind.token} ({_logical(request.urn)})"
        identity, state = self._guard(context, what, lambda: operations.create(self._api(inputs), kind, _bare(inputs)), request.properties)
        return provider_pb2.CreateResponse(id=identity, properties=encode_struct(state))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind = self._kind(context, request.urn)
        known, inputs = self._decode(request.properties), self._decode(request.inputs)
        full = not known
        what = f"reading {kind.token} ({request.id})"
        state = self._guard(context, what, lambda: operations.read(self._api(known), kind, request.id, known, _bare(inputs), full=full))
        if state is None:
            return provider_pb2.ReadResponse()  # no properties at all: an import then says that there is no such resource
        return provider_pb2.ReadResponse(
            id=request.id, properties=encode_struct(state), inputs=encode_struct(_found_inputs(kind, known, inputs, state, full=full))
        )

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind = self._kind(context, request.urn)
        old, new = self._decode(request.olds), self._decode(request.news)
        changed = self._difference(kind, request).properties
        if request.preview:
            return provider_pb2.UpdateResponse(properties=encode_struct(operations.planned(kind, new, old, changed)))
        what = f"updating {kind.token} ({request.id})"
        state = self._guard(
            context,
            what,
            lambda: operations.update(self._api(old), kind, request.id, old, _bare(new), changed, _bare(new)),
            request.news,
        )
        return provider_pb2.UpdateResponse(properties=encode_struct(state))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        kind = self._kind(context, request.urn)
        state = self._decode(request.properties)
        what = f"deleting {kind.token} ({request.id})"
        self._guard(context, what, lambda: operations.delete(self._api(state), kind, request.id, state))
        return empty_pb2.Empty()

    # -- helpers ------------------------------------------------------------------------------------------------------------

    def _decode(self, struct: Any) -> Properties:
        return decode_struct(struct, self._folder)

    def _api(self, values: Mapping[str, Any]) -> Api:
        if self._settings is None:
            raise ConfigError("the provider's configuration is not known yet")
        region = values.get("region")
        return Api(self._settings, self._clients, self._account).in_region(region if isinstance(region, str) else None)

    def _kind(self, context: grpc.ServicerContext, urn: str) -> ResourceType:
        kind = TABLE.get(_token(urn))
        if kind is None:
            self._fail(context, f"the local aws plugin does not have the resource type {_token(urn)}")
        return kind

    def _guard(self, context: grpc.ServicerContext, what: str, work: Callable[[], _Answer], inputs: Any = None) -> _Answer:
        """Runs work; turns its errors into the engine's."""
        try:
            return work()
        except PartialError as error:
            message = provider_pb2.ErrorResourceInitFailed(
                id=error.identity, properties=encode_struct(error.state), reasons=[f"{what}: {error}"], inputs=inputs
            )
            self._abort_with(context, f"{what}: {error}", message)
        except ProviderError as error:
            self._fail(context, f"{what}: {error}")
        except Exception as error:
            traceback.print_exc()
            self._fail(context, f"{what}: the local aws plugin failed: {type(error).__name__}: {error}")

    @staticmethod
    def _fail(context: grpc.ServicerContext, text: str) -> NoReturn:
        context.abort(grpc.StatusCode.UNKNOWN, text)
        raise AssertionError("abort returns never")

    @staticmethod
    def _abort_with(context: grpc.ServicerContext, text: str, detail: Any) -> NoReturn:
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=text)
        status.details.add().Pack(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, text)
        raise AssertionError("abort returns never")


def _capabilities() -> dict[str, bool]:
    """The engine keeps track of secrets and outputs by itself where the plugin does not ask for them."""
    return {"acceptSecrets": False, "acceptResources": False, "acceptOutputs": False, "supports_autonaming_configuration": True}


def _bare(inputs: Properties) -> Properties:
    return {k: v for k, v in inputs.items() if k != "__defaults"}


def _found_inputs(kind: ResourceType, known: Properties, inputs: Properties, state: Properties, *, full: bool) -> Properties:
    """The inputs that a program would have to say to get this state.

    What was said before and still holds keeps its wording; what was added behind the program's back appears.
    """
    schema = type_schema(kind.token)
    comparison = Comparison(kind.documents, kind.ordered)
    made: Properties = {}
    for name in sorted(kind.managed()):
        value, said = state.get(name), inputs.get(name)
        if name in inputs:
            same = comparison.same(schema.inputs.get(name, "any"), value, said, name)
            made[name] = said if same or (empty(value) and name in kind.local) else value
        elif name in schema.inputs and not empty(value) and name not in kind.computed and name not in kind.volatile:
            new = full or (empty(known.get(name)) and value is not False)
            if new and value != kind.defaults.get(name) and name != "region":
                made[name] = value
    if kind.tags:
        made["tagsAll"] = state.get("tagsAll", {})
    made["__defaults"] = inputs.get("__defaults", [])
    return {k: v for k, v in made.items() if v is not None}
