"""The ``OTEL_…`` variables: what they configure, what is an error, and what is ignored with a warning."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import TelemetrySignal
from exporter.otlp.config import OtelConfig, SpanLimits, read_config
from exporter.otlp.endpoint import Compression, OtlpEndpoint, OtlpProtocol
from exporter.otlp.sampler import SAMPLERS, Sampler
from exporter.otlp.variables import OtelConfigError

TRACES, LOGS = TelemetrySignal.TRACES, TelemetrySignal.LOGS
PREFIX = "OTEL_EXPORTER_OTLP_"
ENDPOINT = f"{PREFIX}ENDPOINT"
HTTP = {ENDPOINT: "http://collector:4318"}
GRPC = {ENDPOINT: "http://collector:4317", f"{PREFIX}PROTOCOL": "grpc"}
URLS = {TRACES: "http://collector:4318/v1/traces", LOGS: "http://collector:4318/v1/logs"}
RESOURCE = {"service.name": "exit-exporter"}
PAIRS = "NAME=VALUE,NAME=VALUE with percent-encoding"
WARNING = "variable not understood, ignored"
SECRET = "hunter2"  # noqa: S105  # the tests look for it
EXPORTER_VARIABLES = (
    "ENDPOINT",
    "PROTOCOL",
    "HEADERS",
    "TIMEOUT",
    "COMPRESSION",
    "INSECURE",
    "CERTIFICATE",
    "CLIENT_CERTIFICATE",
    "CLIENT_KEY",
)
VARIABLES = (
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_TRACES_EXPORTER",
    "OTEL_LOGS_EXPORTER",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    *(f"{PREFIX}{signal}{name}" for signal in ("", "TRACES_", "LOGS_") for name in EXPORTER_VARIABLES),
)


def read(environment: Mapping[str, str]) -> OtelConfig:
    """Read variables that must not cause a warning."""
    with structlog.testing.capture_logs() as logs:
        config = read_config(environment)
    assert logs == []
    return config


def error_of(environment: Mapping[str, str]) -> str:
    """Return the text of the error that these variables must cause."""
    with structlog.testing.capture_logs() as logs, pytest.raises(OtelConfigError) as caught:
        read_config(environment)
    assert logs == []
    return str(caught.value)


def read_with_warnings(environment: Mapping[str, str]) -> tuple[OtelConfig, list[tuple[str, str, str]]]:
    """Return the configuration and the warnings: variable, value, what is wanted."""
    with structlog.testing.capture_logs() as logs:
        config = read_config(environment)
    assert {(entry["log_level"], entry["event"]) for entry in logs} <= {("warning", WARNING)}
    return config, [(entry["variable"], entry["value"], entry["wanted"]) for entry in logs]


def both(**changes: Any) -> OtelConfig:
    """Return the configuration of both signals at one collector, with changes of their endpoints."""
    return OtelConfig(
        {signal: OtlpEndpoint(url, **changes) for signal, url in URLS.items()}, resource=RESOURCE
    )


@pytest.fixture
def pem(tmp_path: Path) -> str:
    path = tmp_path / "some.pem"
    path.touch()
    return str(path)


# Endpoints


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="no variables"),
        pytest.param({ENDPOINT: " \t"}, id="a blank endpoint"),
        pytest.param({"PATH": "/bin", "otel_exporter_otlp_endpoint": "http://collector"}, id="other names"),
        pytest.param({f"{PREFIX}PROTOCOL": "no such", f"{PREFIX}TIMEOUT": "soon"}, id="no endpoint"),
        pytest.param({**HTTP, "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}, id="none"),
    ],
)
def test_without_an_endpoint_nothing_is_exported(environment: dict[str, str]) -> None:
    assert read(environment) == OtelConfig(resource=RESOURCE)


@pytest.mark.parametrize("value", ["true", "TRUE", " True "])
def test_a_disabled_sdk_exports_nothing_and_hides_errors(value: str) -> None:
    assert read({"OTEL_SDK_DISABLED": value, ENDPOINT: "nonsense"}) == OtelConfig()


@pytest.mark.parametrize("value", ["false", "", "FALSE"])
def test_only_true_disables_the_sdk(value: str) -> None:
    assert read({"OTEL_SDK_DISABLED": value, **HTTP}) == both()


@pytest.mark.parametrize(
    ("endpoint", "traces"),
    [
        ("http://collector:4318", OtlpEndpoint("http://collector:4318/v1/traces")),
        ("http://collector:4318//", OtlpEndpoint("http://collector:4318/v1/traces")),
        ("HTTPS://collector", OtlpEndpoint("https://collector/v1/traces", secure=True)),
        ("http://collector/otlp/", OtlpEndpoint("http://collector/otlp/v1/traces")),
        ("http://[::1]:4318", OtlpEndpoint("http://[::1]:4318/v1/traces")),
        (" http://collector ", OtlpEndpoint("http://collector/v1/traces")),
    ],
)
def test_the_common_endpoint_gets_a_path_for_each_signal(endpoint: str, traces: OtlpEndpoint) -> None:
    endpoints = read({ENDPOINT: endpoint}).endpoints
    assert endpoints[TRACES] == traces
    assert endpoints[LOGS].url == traces.url.replace("traces", "logs")


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/"),
        ("http://collector:4318/other/way?tenant=a", "http://collector:4318/other/way?tenant=a"),
    ],
)
def test_the_endpoint_of_one_signal_is_used_unchanged(endpoint: str, url: str) -> None:
    config = read({f"{PREFIX}TRACES_ENDPOINT": endpoint})
    assert config == OtelConfig({TRACES: OtlpEndpoint(url)}, resource=RESOURCE)


def test_each_signal_may_have_its_own_endpoint_and_protocol() -> None:
    traces = {"PROTOCOL": "grpc", "ENDPOINT": "collector:4317", "INSECURE": "true"}
    assert read(HTTP | {f"{PREFIX}TRACES_{name}": value for name, value in traces.items()}).endpoints == {
        TRACES: OtlpEndpoint("collector:4317", OtlpProtocol.GRPC),
        LOGS: OtlpEndpoint(URLS[LOGS]),
    }


@pytest.mark.parametrize("exporters", [" none ", "otlp,none"])
@pytest.mark.parametrize("signal", list(TelemetrySignal))
def test_the_exporter_none_switches_a_signal_off(signal: TelemetrySignal, exporters: str) -> None:
    config = read({**HTTP, f"OTEL_{signal.name}_EXPORTER": exporters})
    assert config.endpoints == {
        other: OtlpEndpoint(url) for other, url in URLS.items() if other is not signal
    }


def test_errors_of_a_signal_that_is_off_are_ignored() -> None:
    config = read({**HTTP, "OTEL_LOGS_EXPORTER": "none", f"{PREFIX}LOGS_TIMEOUT": "soon"})
    assert config.endpoints == {TRACES: OtlpEndpoint(URLS[TRACES])}


@pytest.mark.parametrize(
    ("name", "value", "changes"),
    [
        ("PROTOCOL", "HTTP/Protobuf", {}),
        ("COMPRESSION", "gzip", {"compression": Compression.GZIP}),
        ("COMPRESSION", "Deflate", {"compression": Compression.DEFLATE}),
        ("COMPRESSION", "none", {}),
        ("TIMEOUT", "10000", {}),
        ("TIMEOUT", "1", {"seconds": 0.001}),
        ("TIMEOUT", "2500.5", {"seconds": 2.5005}),
        ("TIMEOUT", "5e3", {"seconds": 5.0}),
        ("INSECURE", "true", {}),
        ("HEADERS", "authorization=Bearer%20token", {"headers": (("authorization", "Bearer token"),)}),
        (
            "HEADERS",
            "Authorization = Basic dXNlcjpwYXNz ",
            {"headers": (("authorization", "Basic dXNlcjpwYXNz"),)},
        ),
        ("HEADERS", "a=%20b%20", {"headers": (("a", "b"),)}),
        ("HEADERS", " a = 1 ,, b = 2 ,", {"headers": (("a", "1"), ("b", "2"))}),
        ("HEADERS", "a=", {"headers": (("a", ""),)}),
        ("HEADERS", "a=b=c%3Dd%2Ce", {"headers": (("a", "b=c=d,e"),)}),
        ("HEADERS", "a=1,a=2", {"headers": (("a", "1"), ("a", "2"))}),
        ("HEADERS", "%61=1", {"headers": (("a", "1"),)}),
        ("HEADERS", "a=100%", {"headers": (("a", "100%"),)}),
        ("HEADERS", "a=1+1", {"headers": (("a", "1+1"),)}),
        ("HEADERS", ",", {}),
        *((name, blank, {}) for name in EXPORTER_VARIABLES[1:] for blank in ("", "  ")),
    ],
)
def test_a_common_variable_applies_to_both_signals(name: str, value: str, changes: dict[str, Any]) -> None:
    assert read({**HTTP, f"{PREFIX}{name}": value}) == both(**changes)


@pytest.mark.parametrize(
    ("name", "common", "own", "traces", "logs"),
    [
        ("COMPRESSION", "gzip", "none", {}, {"compression": Compression.GZIP}),
        ("TIMEOUT", "5000", "7000", {"seconds": 7.0}, {"seconds": 5.0}),
        ("TIMEOUT", "5000", " ", {"seconds": 5.0}, {"seconds": 5.0}),
        ("HEADERS", "a=b,c=d", "e=f", {"headers": (("e", "f"),)}, {"headers": (("a", "b"), ("c", "d"))}),
    ],
)
def test_a_variable_of_one_signal_takes_precedence(
    name: str, common: str, own: str, traces: dict[str, Any], logs: dict[str, Any]
) -> None:
    assert read({**HTTP, f"{PREFIX}{name}": common, f"{PREFIX}TRACES_{name}": own}).endpoints == {
        TRACES: OtlpEndpoint(URLS[TRACES], **traces),
        LOGS: OtlpEndpoint(URLS[LOGS], **logs),
    }


def test_each_certificate_file_has_its_own_variable(tmp_path: Path) -> None:
    authority, certificate, key, other = paths = [str(tmp_path / name) for name in "abcd"]
    for path in paths:
        Path(path).touch()
    files = {
        "CERTIFICATE": authority,
        "CLIENT_CERTIFICATE": certificate,
        "CLIENT_KEY": key,
        "LOGS_CERTIFICATE": other,
        "LOGS_CLIENT_KEY": other,
    }
    assert read(HTTP | {f"{PREFIX}{name}": path for name, path in files.items()}).endpoints == {
        TRACES: OtlpEndpoint(URLS[TRACES], certificate=authority, client=(certificate, key)),
        LOGS: OtlpEndpoint(URLS[LOGS], certificate=other, client=(certificate, other)),
    }


# gRPC


@pytest.mark.parametrize(
    ("endpoint", "url", "secure"),
    [
        ("http://collector:4317", "collector:4317", False),
        ("https://collector:4317/", "collector:4317", True),
        ("http://[::1]:4317", "[::1]:4317", False),
        ("http://collector", "collector:4317", False),
        ("http://collector:", "collector:4317", False),
        *(
            (target, target, True)
            for target in (
                "collector",
                "collector:4317",
                "10.0.0.1:4317",
                "[::1]:4317",
                "dns:///collector:4317",
                "dns://8.8.8.8/collector:4317",
                "ipv4:10.0.0.1:4317,10.0.0.2:4317",
            )
        ),
        ("unix:run.sock", "unix:run.sock", False),
        ("unix:///run/collector.sock", "unix:///run/collector.sock", False),
    ],
)
def test_a_grpc_endpoint_is_a_url_or_a_target(endpoint: str, url: str, *, secure: bool) -> None:
    expected = OtlpEndpoint(url, OtlpProtocol.GRPC, secure=secure)
    assert read(GRPC | {ENDPOINT: endpoint}).endpoints == {TRACES: expected, LOGS: expected}


@pytest.mark.parametrize(
    ("endpoint", "insecure", "secure"),
    [
        ("collector:4317", "TRUE", False),
        ("collector:4317", "false", True),
        ("https://collector:4317", "true", True),
        ("http://collector:4317", "false", False),
        ("unix:///run/collector.sock", "false", False),
    ],
)
def test_insecure_applies_to_targets_without_a_scheme_only(
    endpoint: str, insecure: str, *, secure: bool
) -> None:
    config = read(GRPC | {ENDPOINT: endpoint, f"{PREFIX}INSECURE": insecure})
    assert config.endpoints[TRACES].secure is secure


def test_the_other_variables_apply_to_grpc_too(pem: str) -> None:
    variables = {
        "HEADERS": "X-Tenant=a",
        "COMPRESSION": "gzip",
        "TIMEOUT": "2000",
        "CERTIFICATE": pem,
        "CLIENT_CERTIFICATE": pem,
        "CLIENT_KEY": pem,
    }
    config = read(GRPC | {f"{PREFIX}{name}": value for name, value in variables.items()})
    assert config.endpoints[TRACES] == OtlpEndpoint(
        "collector:4317",
        OtlpProtocol.GRPC,
        (("x-tenant", "a"),),
        2.0,
        Compression.GZIP,
        certificate=pem,
        client=(pem, pem),
    )


# Resource, limits and sampler


@pytest.mark.parametrize(
    ("attributes", "service", "resource"),
    [
        ("", "exits", {"service.name": "exits"}),
        ("service.name=exits", "", {"service.name": "exits"}),
        ("service.name=exits", "other", {"service.name": "other"}),
        (" team = a%20b%2Cc%3Dd , empty= ,", "", {**RESOURCE, "team": "a b,c=d", "empty": ""}),
        ("gr%C3%B6%C3%9Fe=%E2%88%91", "", {**RESOURCE, "größe": "∑"}),
        ("a=1,a=2", "", {**RESOURCE, "a": "2"}),
    ],
)
def test_the_resource_has_a_service_name_and_attributes(
    attributes: str, service: str, resource: dict[str, str]
) -> None:
    environment = {"OTEL_RESOURCE_ATTRIBUTES": attributes, "OTEL_SERVICE_NAME": service}
    assert read(environment) == OtelConfig(resource=resource)


@pytest.mark.parametrize(
    ("events", "span_length", "length", "limits"),
    [
        ("", "", "", SpanLimits(128, None)),
        ("7", "", "", SpanLimits(7, None)),
        ("0", "", "", SpanLimits(0, None)),
        ("", "50", "60", SpanLimits(128, 50)),
        ("", "", "60", SpanLimits(128, 60)),
    ],
)
def test_limits_of_spans_take_precedence(
    events: str, span_length: str, length: str, limits: SpanLimits
) -> None:
    environment = {
        "OTEL_SPAN_EVENT_COUNT_LIMIT": events,
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": span_length,
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": length,
    }
    assert read(environment) == OtelConfig(resource=RESOURCE, limits=limits)


@pytest.mark.parametrize(
    ("name", "argument", "sampler"),
    [
        ("", "0.5", Sampler()),
        ("always_on", "", Sampler()),
        ("always_off", "", Sampler(0.0)),
        ("traceidratio", "", Sampler(1.0)),
        ("traceidratio", "0.25", Sampler(0.25)),
        ("traceidratio", "0", Sampler(0.0)),
        ("parentbased_always_on", "", Sampler(parent_based=True)),
        ("parentbased_always_off", "", Sampler(0.0, parent_based=True)),
        ("parentbased_traceidratio", " 0.1 ", Sampler(0.1, parent_based=True)),
    ],
)
def test_the_sampler_has_a_name_and_an_argument(name: str, argument: str, sampler: Sampler) -> None:
    environment = {"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument}
    assert read(environment) == OtelConfig(sampler=sampler, resource=RESOURCE)


# Errors


@pytest.mark.parametrize("name", [ENDPOINT, "OTEL_SERVICE_NAME"])
def test_a_value_that_is_not_utf8_is_an_error(name: str) -> None:
    assert error_of({**HTTP, name: "http://caf\udce9"}) == f"{name}: is not UTF-8"


NO_HOST = ["http://", "http:///v1/traces", "http://:4318", "ftp://collector"]
NO_URL = ["collector", "collector:4318", "unix:///a.sock", "http://collector:99999", "http://[::1"]
NO_TARGET = [":4317", "unix://", "dns://collector:4317", "two words"]


@pytest.mark.parametrize("endpoint", NO_HOST + NO_URL)
@pytest.mark.parametrize("name", [ENDPOINT, f"{PREFIX}LOGS_ENDPOINT"])
def test_an_invalid_url_is_an_error(name: str, endpoint: str) -> None:
    text = f"{name}: {endpoint!r} is not an endpoint; for example http://collector:4318"
    assert error_of({name: endpoint}) == text


@pytest.mark.parametrize("endpoint", NO_HOST + NO_TARGET)
def test_an_invalid_grpc_target_is_an_error(endpoint: str) -> None:
    text = f"{ENDPOINT}: {endpoint!r} is not an endpoint; for example http://collector:4317"
    assert error_of(GRPC | {ENDPOINT: endpoint}) == text


def test_a_query_in_the_common_endpoint_is_an_error() -> None:
    assert "is not an endpoint" in error_of({ENDPOINT: "http://c:4318?x=1"})


@pytest.mark.parametrize("timeout", ["0", "-1", "soon", "10s", "nan", "inf", "0x10"])
@pytest.mark.parametrize("name", [f"{PREFIX}TIMEOUT", f"{PREFIX}LOGS_TIMEOUT"])
def test_an_invalid_timeout_is_an_error(name: str, timeout: str) -> None:
    text = f"{name}: {timeout!r} is not a number of milliseconds, such as 10000"
    assert error_of({**HTTP, name: timeout}) == text


BAD_HEADERS = [
    SECRET,
    f" ={SECRET}",
    f"a=b,{SECRET}",
    f"a b={SECRET}",
    f"a:={SECRET}",
    f"größe={SECRET}",
    f"a={SECRET}%0D%0Ax-injected: 1",
    f"a=%00{SECRET}",
    f"a=ü{SECRET}",
    f"a=%C3%BC{SECRET}",
    f"a%0A={SECRET}",
]


@pytest.mark.parametrize("headers", BAD_HEADERS)
@pytest.mark.parametrize("name", [f"{PREFIX}HEADERS", f"{PREFIX}TRACES_HEADERS"])
def test_invalid_headers_are_an_error_that_hides_them(name: str, headers: str) -> None:
    assert error_of({**HTTP, name: headers}) == f"{name}: is not {PAIRS}"


@pytest.mark.parametrize("name", ["x-bin", "x!y"])
def test_headers_that_grpc_does_not_allow_are_an_error(name: str) -> None:
    assert error_of({**GRPC, f"{PREFIX}HEADERS": f"{name}=1"}) == f"{PREFIX}HEADERS: is not {PAIRS}"


@pytest.mark.parametrize("name", ["CERTIFICATE", "LOGS_CLIENT_CERTIFICATE", "CLIENT_KEY"])
def test_an_unreadable_file_is_an_error(tmp_path: Path, name: str) -> None:
    missing = str(tmp_path / "missing.pem")
    assert error_of({**HTTP, f"{PREFIX}{name}": missing}) == f"{PREFIX}{name}: cannot read {missing}"


@pytest.mark.parametrize(
    ("given", "missing"), [("CLIENT_CERTIFICATE", "CLIENT_KEY"), ("CLIENT_KEY", "CLIENT_CERTIFICATE")]
)
def test_a_certificate_without_its_key_is_an_error(pem: str, given: str, missing: str) -> None:
    text = f"{PREFIX}{missing}: is not set; a certificate and its key go together"
    assert error_of({**HTTP, f"{PREFIX}{given}": pem}) == text


# Warnings


@pytest.mark.parametrize(
    ("name", "value", "shown", "wanted"),
    [
        ("OTEL_SDK_DISABLED", "yes", "yes", "true, false"),
        (f"{PREFIX}PROTOCOL", "http/json", "http/json", "http/protobuf, grpc"),
        (f"{PREFIX}TRACES_PROTOCOL", "Pigeon", "Pigeon", "http/protobuf, grpc"),
        (f"{PREFIX}COMPRESSION", "zstd", "zstd", "none, gzip, deflate"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "zipkin", "otlp, none"),
        ("OTEL_LOGS_EXPORTER", "otlp, console, x", "console,x", "otlp, none"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "jaeger_remote", ", ".join(SAMPLERS)),
        ("OTEL_RESOURCE_ATTRIBUTES", "team", "(not shown)", PAIRS),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,=c", "(not shown)", PAIRS),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many", "many", "a whole number"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1", "-1", "a whole number"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1.5", "1.5", "a whole number"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1k", "1k", "a whole number"),
    ],
)
def test_a_value_that_is_not_understood_is_ignored(name: str, value: str, shown: str, wanted: str) -> None:
    assert read_with_warnings({**HTTP, name: value}) == (both(), [(name, shown, wanted)])


@pytest.mark.parametrize("argument", ["half", "1.1", "-0.1", "nan"])
def test_a_ratio_that_is_not_understood_counts_as_1(argument: str) -> None:
    environment = {
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": argument,
    }
    assert read_with_warnings(environment) == (
        OtelConfig(sampler=Sampler(1.0, parent_based=True), resource=RESOURCE),
        [("OTEL_TRACES_SAMPLER_ARG", argument, "a number from 0 to 1")],
    )


def test_ignored_resource_attributes_leave_the_service_name() -> None:
    config, warnings = read_with_warnings({"OTEL_RESOURCE_ATTRIBUTES": "team", "OTEL_SERVICE_NAME": "exits"})
    assert config == OtelConfig(resource={"service.name": "exits"})
    assert [name for name, _, _ in warnings] == ["OTEL_RESOURCE_ATTRIBUTES"]


# Secrets, and any text


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("user", [f"me:{SECRET}@", f"{SECRET}@"])
def test_a_password_in_an_endpoint_is_never_shown(protocol: str, user: str) -> None:
    environment = {ENDPOINT: f"http://{user}collector:99999999", f"{PREFIX}PROTOCOL": protocol}
    assert SECRET not in error_of(environment)
    if protocol == "grpc":
        # gRPC would take it for a part of the name.
        assert SECRET not in error_of(environment | {ENDPOINT: f"http://{user}collector:4317"})
    else:
        assert SECRET not in repr(read_config({ENDPOINT: f"http://{user}collector:4318"}))


@pytest.mark.parametrize("headers", [f"authorization=Bearer {SECRET}", *BAD_HEADERS])
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc", "unknown"])
def test_a_header_is_in_no_representation_log_or_error(headers: str, protocol: str) -> None:
    environment = {**HTTP, f"{PREFIX}HEADERS": headers, f"{PREFIX}PROTOCOL": protocol}
    with structlog.testing.capture_logs() as logs:
        try:
            shown = repr(read_config(environment))
        except OtelConfigError as error:
            shown = "".join(traceback.format_exception(error)) + repr(error)
    assert SECRET not in shown + repr(logs)


@given(
    st.dictionaries(
        st.sampled_from(VARIABLES),
        st.sampled_from(["http://c", "grpc", "gzip", "1", "a=b", "true", "none"])
        | st.text(st.characters(codec="utf-8"), max_size=12),
    )
)
def test_any_text_is_understood_ignored_or_an_error(environment: dict[str, str]) -> None:
    try:
        with structlog.testing.capture_logs() as logs:
            config = read_config(environment)
    except OtelConfigError as error:
        assert str(error).partition(":")[0] in VARIABLES  # noqa: PT017  # either of the two may happen
    else:
        assert {entry["variable"] for entry in logs} <= set(environment)
        assert config == OtelConfig() or "service.name" in config.resource
        assert all(endpoint.seconds > 0 for endpoint in config.endpoints.values())
