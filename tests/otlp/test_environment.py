"""What the standard variables ask for, what is refused, and what is only warned of."""

import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import TelemetrySignal
from exporter.otlp.config import OtelConfig, SpanLimits, read_config
from exporter.otlp.endpoint import Compression, OtlpEndpoint, OtlpProtocol
from exporter.otlp.sampler import SAMPLERS, Sampler
from exporter.otlp.variables import OtelConfigError

PREFIX = "OTEL_EXPORTER_OTLP_"
ENDPOINT = f"{PREFIX}ENDPOINT"
HERE = {ENDPOINT: "http://collector:4318"}
URLS = {
    TelemetrySignal.TRACES: "http://collector:4318/v1/traces",
    TelemetrySignal.LOGS: "http://collector:4318/v1/logs",
}
RESOURCE = {"service.name": "exit-exporter"}
WARNING = "variable not understood, ignored"
SECRET = "hunter2"  # noqa: S105  # the tests look for it
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
    *(
        f"{PREFIX}{signal}{ending}"
        for signal in ("", "TRACES_", "LOGS_")
        for ending in (
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
    ),
)


def quiet(environment: Mapping[str, str]) -> OtelConfig:
    """Read what must not be warned of."""
    with structlog.testing.capture_logs() as logs:
        found = read_config(environment)
    assert logs == []
    return found


def both(**changes: object) -> OtelConfig:
    """Give what is found where both signals go to one collector, with one change of their targets."""
    targets = {signal: OtlpEndpoint(url, **changes) for signal, url in URLS.items()}  # type: ignore[arg-type]
    return OtelConfig(targets, resource=RESOURCE)


def traces_target(environment: Mapping[str, str]) -> OtlpEndpoint:
    """Read, and give where the spans go."""
    return quiet(environment).endpoints[TelemetrySignal.TRACES]


def refusal(environment: Mapping[str, str]) -> str:
    """Read what must be refused, and give the text."""
    with structlog.testing.capture_logs() as logs, pytest.raises(OtelConfigError) as refused:
        read_config(environment)
    assert logs == []
    return str(refused.value)


def warned(environment: Mapping[str, str]) -> tuple[OtelConfig, list[tuple[str, str, str]]]:
    """Read, and give the warnings, each said once: variable, value, what it should be."""
    with structlog.testing.capture_logs() as logs:
        found = read_config(environment)
    assert {(entry["log_level"], entry["event"]) for entry in logs} <= {("warning", WARNING)}
    said = [(entry["variable"], entry["value"], entry["wanted"]) for entry in logs]
    return found, said


@pytest.fixture
def pem(tmp_path: Path) -> str:
    path = tmp_path / "some.pem"
    path.touch()
    return str(path)


# Whether, and where to


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="none at all"),
        pytest.param({ENDPOINT: ""}, id="an empty endpoint"),
        pytest.param({ENDPOINT: " \t"}, id="a blank endpoint"),
        pytest.param({"PATH": "/bin", "otel_exporter_otlp_endpoint": "http://collector"}, id="other names"),
        pytest.param(
            {f"{PREFIX}PROTOCOL": "carrier pigeon", f"{PREFIX}TIMEOUT": "soon"}, id="no endpoint to reach so"
        ),
        pytest.param(
            {**HERE, "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}, id="no exporter"
        ),
    ],
)
def test_where_no_endpoint_is_set_nothing_is_asked_for(environment: dict[str, str]) -> None:
    assert quiet(environment) == OtelConfig(resource=RESOURCE)


@pytest.mark.parametrize("word", ["true", "TRUE", " True "])
def test_a_disabled_sdk_asks_for_nothing_however_wrong_the_rest_is(word: str) -> None:
    assert quiet({"OTEL_SDK_DISABLED": word, ENDPOINT: "nonsense"}) == OtelConfig()


@pytest.mark.parametrize("word", ["false", "", "FALSE"])
def test_only_true_disables_the_sdk(word: str) -> None:
    assert quiet({"OTEL_SDK_DISABLED": word, **HERE}) == both()


@pytest.mark.parametrize("word", ["1", "yes"])
def test_what_is_neither_true_nor_false_disables_nothing_and_is_warned_of(word: str) -> None:
    warning = ("OTEL_SDK_DISABLED", word, "true, false")
    assert warned({"OTEL_SDK_DISABLED": word, **HERE}) == (both(), [warning])


@pytest.mark.parametrize("name", [ENDPOINT, "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"])
def test_what_is_no_text_is_refused(name: str) -> None:
    assert refusal({**HERE, name: "http://caf\udce9"}) == f"{name}: is not UTF-8"


@pytest.mark.parametrize(
    "base", ["http://collector:4318", "http://collector:4318/", "http://collector:4318//"]
)
def test_below_the_endpoint_for_all_each_signal_has_its_path(base: str) -> None:
    assert quiet({ENDPOINT: base}) == both()


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("https://collector", OtlpEndpoint("https://collector/v1/traces", secure=True)),
        ("HTTPS://collector", OtlpEndpoint("https://collector/v1/traces", secure=True)),
        ("http://collector/otlp/", OtlpEndpoint("http://collector/otlp/v1/traces")),
        ("http://[::1]:4318", OtlpEndpoint("http://[::1]:4318/v1/traces")),
        (" http://collector ", OtlpEndpoint("http://collector/v1/traces")),
    ],
)
def test_an_endpoint_for_all_may_be_any_url(endpoint: str, target: OtlpEndpoint) -> None:
    assert traces_target({ENDPOINT: endpoint}) == target


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/"),
        ("http://collector:4318/", "http://collector:4318/"),
        ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
        ("http://collector:4318/other/way?tenant=a", "http://collector:4318/other/way?tenant=a"),
    ],
)
def test_an_endpoint_of_a_signals_own_is_taken_as_it_is(endpoint: str, url: str) -> None:
    assert quiet({f"{PREFIX}TRACES_ENDPOINT": endpoint}) == OtelConfig(
        {TelemetrySignal.TRACES: OtlpEndpoint(url)}, resource=RESOURCE
    )


def test_each_signal_may_go_elsewhere() -> None:
    found = quiet({**HERE, f"{PREFIX}LOGS_ENDPOINT": "https://logs/in"})
    assert found.endpoints == {
        TelemetrySignal.TRACES: OtlpEndpoint(URLS[TelemetrySignal.TRACES]),
        TelemetrySignal.LOGS: OtlpEndpoint("https://logs/in", secure=True),
    }


@pytest.mark.parametrize("exporters", ["none", " none ", "otlp,none"])
@pytest.mark.parametrize("signal", list(TelemetrySignal))
def test_a_signal_whose_exporter_is_none_is_not_sent(signal: TelemetrySignal, exporters: str) -> None:
    found = quiet({**HERE, f"OTEL_{signal.name}_EXPORTER": exporters})
    assert found.endpoints == {other: OtlpEndpoint(url) for other, url in URLS.items() if other is not signal}


def test_what_would_be_refused_does_no_harm_to_a_signal_that_is_not_sent() -> None:
    found = quiet({**HERE, "OTEL_LOGS_EXPORTER": "none", f"{PREFIX}LOGS_TIMEOUT": "soon"})
    assert found.endpoints == {TelemetrySignal.TRACES: OtlpEndpoint(URLS[TelemetrySignal.TRACES])}


# How


@pytest.mark.parametrize(
    ("ending", "value", "changes"),
    [
        ("PROTOCOL", "http/protobuf", {}),
        ("PROTOCOL", "HTTP/Protobuf", {}),
        ("COMPRESSION", "gzip", {"compression": Compression.GZIP}),
        ("COMPRESSION", "GZIP", {"compression": Compression.GZIP}),
        ("COMPRESSION", "deflate", {"compression": Compression.DEFLATE}),
        ("COMPRESSION", "none", {}),
        ("TIMEOUT", "10000", {}),
        ("TIMEOUT", "1", {"seconds": 0.001}),
        ("TIMEOUT", "2500.5", {"seconds": 2.5005}),
        ("TIMEOUT", "5e3", {"seconds": 5.0}),
        ("HEADERS", "a=b", {"headers": (("a", "b"),)}),
        ("INSECURE", "true", {}),
    ],
)
def test_what_is_said_for_all_holds_for_both_signals(
    ending: str, value: str, changes: dict[str, object]
) -> None:
    assert quiet({**HERE, f"{PREFIX}{ending}": value}) == both(**changes)


@pytest.mark.parametrize(
    ("ending", "general", "own", "change"),
    [
        ("COMPRESSION", "gzip", "none", {}),
        ("TIMEOUT", "5000", "7000", {"seconds": 7.0}),
        ("HEADERS", "a=b,c=d", "e=f", {"headers": (("e", "f"),)}),
    ],
)
def test_what_a_signal_says_for_itself_stands_before_what_is_said_for_all(
    ending: str, general: str, own: str, change: dict[str, object]
) -> None:
    environment = {**HERE, f"{PREFIX}{ending}": general, f"{PREFIX}TRACES_{ending}": own}
    found = quiet(environment)
    assert found.endpoints[TelemetrySignal.TRACES] == OtlpEndpoint(URLS[TelemetrySignal.TRACES], **change)  # type: ignore[arg-type]
    assert (
        found.endpoints[TelemetrySignal.LOGS]
        == quiet({**HERE, f"{PREFIX}{ending}": general}).endpoints[TelemetrySignal.LOGS]
    )


@pytest.mark.parametrize("blank", ["", "  "])
@pytest.mark.parametrize("ending", ["PROTOCOL", "COMPRESSION", "TIMEOUT", "HEADERS", "CERTIFICATE"])
def test_an_empty_variable_is_none(ending: str, blank: str) -> None:
    assert quiet({**HERE, f"{PREFIX}{ending}": blank}) == both()


def test_an_empty_variable_of_a_signals_own_leaves_what_is_said_for_all() -> None:
    assert traces_target(
        {**HERE, f"{PREFIX}TIMEOUT": "5000", f"{PREFIX}TRACES_TIMEOUT": " "}
    ) == OtlpEndpoint(URLS[TelemetrySignal.TRACES], seconds=5.0)


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("authorization=Bearer%20token", (("authorization", "Bearer token"),)),
        ("Authorization = Basic dXNlcjpwYXNz ", (("authorization", "Basic dXNlcjpwYXNz"),)),
        ("a=1,b=2", (("a", "1"), ("b", "2"))),
        (" a = 1 ,, b = 2 ,", (("a", "1"), ("b", "2"))),
        ("a=", (("a", ""),)),
        ("a=b=c%3Dd%2Ce", (("a", "b=c=d,e"),)),
        ("a=1,a=2", (("a", "1"), ("a", "2"))),
        ("%61=1", (("a", "1"),)),
        ("a=100%", (("a", "100%"),)),
        ("a=1+1", (("a", "1+1"),)),
        (",", ()),
    ],
)
def test_headers_are_pairs_with_percent_encoding(text: str, headers: tuple[tuple[str, str], ...]) -> None:
    assert quiet({**HERE, f"{PREFIX}HEADERS": text}) == both(headers=headers)


def test_certificates_are_files_each_by_its_own_variable(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("ca.pem", "cert.pem", "key.pem", "other.pem")]
    for path in paths:
        Path(path).touch()
    authority, certificate, key, other = paths
    found = quiet(
        {
            **HERE,
            f"{PREFIX}CERTIFICATE": authority,
            f"{PREFIX}CLIENT_CERTIFICATE": certificate,
            f"{PREFIX}CLIENT_KEY": key,
            f"{PREFIX}LOGS_CERTIFICATE": other,
            f"{PREFIX}LOGS_CLIENT_KEY": other,
        }
    )
    assert found.endpoints == {
        TelemetrySignal.TRACES: OtlpEndpoint(
            URLS[TelemetrySignal.TRACES], certificate=authority, client=(certificate, key)
        ),
        TelemetrySignal.LOGS: OtlpEndpoint(
            URLS[TelemetrySignal.LOGS], certificate=other, client=(certificate, other)
        ),
    }


# gRPC


@pytest.mark.parametrize(
    ("endpoint", "url", "secure"),
    [
        ("http://collector:4317", "collector:4317", False),
        ("https://collector:4317", "collector:4317", True),
        ("http://collector:4317/", "collector:4317", False),
        ("http://[::1]:4317", "[::1]:4317", False),
        ("collector:4317", "collector:4317", True),
        ("10.0.0.1:4317", "10.0.0.1:4317", True),
        ("[::1]:4317", "[::1]:4317", True),
        ("http://collector", "collector:4317", False),
        ("http://collector:", "collector:4317", False),
        ("collector", "collector", True),
        ("dns:///collector:4317", "dns:///collector:4317", True),
        ("dns://8.8.8.8/collector:4317", "dns://8.8.8.8/collector:4317", True),
        ("ipv4:10.0.0.1:4317,10.0.0.2:4317", "ipv4:10.0.0.1:4317,10.0.0.2:4317", True),
        ("unix:run.sock", "unix:run.sock", False),
        ("unix:///run/collector.sock", "unix:///run/collector.sock", False),
    ],
)
def test_a_target_of_grpc_may_have_a_scheme_and_without_one_is_encrypted(
    endpoint: str, url: str, *, secure: bool
) -> None:
    found = quiet({ENDPOINT: endpoint, f"{PREFIX}PROTOCOL": "grpc"})
    target = OtlpEndpoint(url, OtlpProtocol.GRPC, secure=secure)
    assert found == OtelConfig(
        {TelemetrySignal.TRACES: target, TelemetrySignal.LOGS: target}, resource=RESOURCE
    )


@pytest.mark.parametrize(
    ("endpoint", "insecure", "secure"),
    [
        ("collector:4317", "true", False),
        ("collector:4317", "TRUE", False),
        ("collector:4317", "false", True),
        ("collector:4317", "", True),
        ("https://collector:4317", "true", True),
        ("http://collector:4317", "false", False),
        ("unix:///run/collector.sock", "false", False),
    ],
)
def test_only_a_target_without_a_scheme_is_as_secure_as_the_variable_says(
    endpoint: str, insecure: str, *, secure: bool
) -> None:
    environment = {ENDPOINT: endpoint, f"{PREFIX}PROTOCOL": "grpc", f"{PREFIX}INSECURE": insecure}
    assert traces_target(environment).secure is secure


def test_each_signal_may_have_its_own_protocol() -> None:
    found = quiet(
        {
            **HERE,
            f"{PREFIX}TRACES_PROTOCOL": "grpc",
            f"{PREFIX}TRACES_ENDPOINT": "collector:4317",
            f"{PREFIX}TRACES_INSECURE": "true",
        }
    )
    assert found.endpoints == {
        TelemetrySignal.TRACES: OtlpEndpoint("collector:4317", OtlpProtocol.GRPC),
        TelemetrySignal.LOGS: OtlpEndpoint(URLS[TelemetrySignal.LOGS]),
    }


def test_over_grpc_there_are_headers_compression_timeout_and_certificates_too(pem: str) -> None:
    assert traces_target(
        {
            ENDPOINT: "https://collector:4317",
            f"{PREFIX}PROTOCOL": "grpc",
            f"{PREFIX}HEADERS": "X-Tenant=a",
            f"{PREFIX}COMPRESSION": "gzip",
            f"{PREFIX}TIMEOUT": "2000",
            f"{PREFIX}CERTIFICATE": pem,
            f"{PREFIX}CLIENT_CERTIFICATE": pem,
            f"{PREFIX}CLIENT_KEY": pem,
        }
    ) == OtlpEndpoint(
        "collector:4317",
        OtlpProtocol.GRPC,
        (("x-tenant", "a"),),
        2.0,
        Compression.GZIP,
        secure=True,
        certificate=pem,
        client=(pem, pem),
    )


# What is in a span


@pytest.mark.parametrize(
    ("environment", "resource"),
    [
        ({}, RESOURCE),
        ({"OTEL_SERVICE_NAME": "exits"}, {"service.name": "exits"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=exits"}, {"service.name": "exits"}),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=exits", "OTEL_SERVICE_NAME": "other"},
            {"service.name": "other"},
        ),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": " team = a%20b%2Cc%3Dd , empty= ,"},
            {**RESOURCE, "team": "a b,c=d", "empty": ""},
        ),
        ({"OTEL_RESOURCE_ATTRIBUTES": "gr%C3%B6%C3%9Fe=%E2%88%91"}, {**RESOURCE, "größe": "∑"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=1,a=2"}, {**RESOURCE, "a": "2"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "", "OTEL_SERVICE_NAME": ""}, RESOURCE),
    ],
)
def test_the_resource_is_named_and_described_by_variables(
    environment: dict[str, str], resource: dict[str, str]
) -> None:
    assert quiet(environment) == OtelConfig(resource=resource)


@pytest.mark.parametrize(
    ("environment", "limits"),
    [
        ({}, SpanLimits(128, None)),
        ({"OTEL_SPAN_EVENT_COUNT_LIMIT": "7"}, SpanLimits(7, None)),
        ({"OTEL_SPAN_EVENT_COUNT_LIMIT": "0"}, SpanLimits(0, None)),
        ({"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "50"}, SpanLimits(128, 50)),
        ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "60"}, SpanLimits(128, 60)),
        (
            {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "50", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "60"},
            SpanLimits(128, 50),
        ),
        (
            {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "60"},
            SpanLimits(128, 60),
        ),
    ],
)
def test_limits_are_whole_numbers_and_a_spans_own_stand_before_those_for_all(
    environment: dict[str, str], limits: SpanLimits
) -> None:
    assert quiet(environment) == OtelConfig(resource=RESOURCE, limits=limits)


@pytest.mark.parametrize(
    ("environment", "sampler"),
    [
        ({}, Sampler()),
        ({"OTEL_TRACES_SAMPLER_ARG": "0.5"}, Sampler()),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, Sampler()),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, Sampler(0.0)),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, Sampler(1.0)),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, Sampler(0.25)),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, Sampler(0.0)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, Sampler(parent_based=True)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, Sampler(0.0, parent_based=True)),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": " 0.1 "},
            Sampler(0.1, parent_based=True),
        ),
    ],
)
def test_the_sampler_is_the_variables(environment: dict[str, str], sampler: Sampler) -> None:
    assert quiet(environment) == OtelConfig(sampler=sampler, resource=RESOURCE)


# What is refused


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("collector", "'collector'"),
        ("collector:4318", "'collector:4318'"),
        ("http://", "'http://'"),
        ("http:///v1/traces", "'http:///v1/traces'"),
        ("http://:4318", "'http://:4318'"),
        ("ftp://collector", "'ftp://collector'"),
        ("unix:///run/collector.sock", "'unix:///run/collector.sock'"),
        ("http://collector:port", "'http://collector:port'"),
        ("http://collector:99999", "'http://collector:99999'"),
        ("http://[::1", "'http://[::1'"),
    ],
)
@pytest.mark.parametrize("name", [ENDPOINT, f"{PREFIX}TRACES_ENDPOINT", f"{PREFIX}LOGS_ENDPOINT"])
def test_what_is_no_url_is_refused_under_its_variables_name(name: str, endpoint: str, shown: str) -> None:
    assert (
        refusal({name: endpoint}) == f"{name}: {shown} is not an endpoint; for example http://collector:4318"
    )


@pytest.mark.parametrize(
    "endpoint",
    [
        "ftp://collector",
        "http://",
        "http:///x",
        "http://:4317",
        ":4317",
        "unix://",
        "dns://collector:4317",
        "http://collector:port",
        "two words",
    ],
)
def test_what_is_no_target_of_grpc_is_refused(endpoint: str) -> None:
    assert (
        refusal({ENDPOINT: endpoint, f"{PREFIX}PROTOCOL": "grpc"})
        == f"{ENDPOINT}: {endpoint!r} is not an endpoint; for example http://collector:4317"
    )


@pytest.mark.parametrize("time", ["0", "-1", "soon", "10s", "nan", "inf", "0x10"])
@pytest.mark.parametrize("name", [f"{PREFIX}TIMEOUT", f"{PREFIX}LOGS_TIMEOUT"])
def test_what_is_no_time_is_refused(name: str, time: str) -> None:
    assert refusal({**HERE, name: time}) == f"{name}: {time!r} is not a number of milliseconds, such as 10000"


BAD_HEADERS = [
    SECRET,
    f"={SECRET}",
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


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("user", [f"me:{SECRET}@", f"{SECRET}@"])
def test_a_password_in_an_endpoint_is_never_shown(protocol: str, user: str) -> None:
    environment = {ENDPOINT: f"http://{user}collector:99999999", f"{PREFIX}PROTOCOL": protocol}
    assert SECRET not in refusal(environment)
    if protocol == "grpc":
        # It would only be a part of the name to gRPC.
        assert SECRET not in refusal(environment | {ENDPOINT: f"http://{user}collector:4317"})
    else:
        assert SECRET not in repr(read_config({ENDPOINT: f"http://{user}collector:4318"}))


@pytest.mark.parametrize("name", ["x-bin", "x!y"])
def test_what_grpc_has_no_headers_of_is_refused(name: str) -> None:
    environment = {ENDPOINT: "http://c", f"{PREFIX}PROTOCOL": "grpc", f"{PREFIX}HEADERS": f"{name}=1"}
    assert refusal(environment) == (f"{PREFIX}HEADERS: is not NAME=VALUE,NAME=VALUE with percent-encoding")


def test_spaces_around_a_header_are_not_of_it() -> None:
    environment = {ENDPOINT: "http://c", f"{PREFIX}HEADERS": "authorization=%20Bearer%20x%20"}
    assert read_config(environment).endpoints[TelemetrySignal.TRACES].headers == (
        ("authorization", "Bearer x"),
    )


def test_an_endpoint_of_all_signals_has_no_query() -> None:
    assert "is not an endpoint" in refusal({ENDPOINT: "http://c:4318?x=1"})


@pytest.mark.parametrize("headers", BAD_HEADERS)
@pytest.mark.parametrize("name", [f"{PREFIX}HEADERS", f"{PREFIX}TRACES_HEADERS"])
def test_what_are_no_headers_is_refused_and_not_shown(name: str, headers: str) -> None:
    assert refusal({**HERE, name: headers}) == f"{name}: is not NAME=VALUE,NAME=VALUE with percent-encoding"


@pytest.mark.parametrize("ending", ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, ending: str) -> None:
    missing = str(tmp_path / "missing.pem")
    for name in (f"{PREFIX}{ending}", f"{PREFIX}LOGS_{ending}"):
        assert refusal({**HERE, name: missing}) == f"{name}: cannot read {missing}"


@pytest.mark.parametrize(
    ("given", "missing"),
    [("CLIENT_CERTIFICATE", "CLIENT_KEY"), ("CLIENT_KEY", "CLIENT_CERTIFICATE")],
)
def test_a_certificate_without_its_key_is_refused(pem: str, given: str, missing: str) -> None:
    assert (
        refusal({**HERE, f"{PREFIX}{given}": pem})
        == f"{PREFIX}{missing}: is not set; a certificate and its key go together"
    )


# What is warned of, and left aside


@pytest.mark.parametrize(
    ("name", "value", "shown", "wanted"),
    [
        (f"{PREFIX}PROTOCOL", "http/json", "http/json", "http/protobuf, grpc"),
        (f"{PREFIX}TRACES_PROTOCOL", "Pigeon", "Pigeon", "http/protobuf, grpc"),
        (f"{PREFIX}COMPRESSION", "zstd", "zstd", "none, gzip, deflate"),
        (f"{PREFIX}LOGS_COMPRESSION", "br", "br", "none, gzip, deflate"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "zipkin", "otlp, none"),
        ("OTEL_LOGS_EXPORTER", "otlp, console, x", "console,x", "otlp, none"),
        (
            "OTEL_TRACES_SAMPLER",
            "jaeger_remote",
            "jaeger_remote",
            ", ".join(SAMPLERS),
        ),
        ("OTEL_RESOURCE_ATTRIBUTES", "team", "team", "NAME=VALUE,NAME=VALUE with percent-encoding"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,=c", "a=b,=c", "NAME=VALUE,NAME=VALUE with percent-encoding"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many", "many", "a whole number"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1", "-1", "a whole number"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1.5", "1.5", "a whole number"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1k", "1k", "a whole number"),
    ],
)
def test_a_word_that_is_not_understood_is_warned_of_and_as_if_it_were_not_there(
    name: str, value: str, shown: str, wanted: str
) -> None:
    assert warned({**HERE, name: value}) == (both(), [(name, shown, wanted)])


@pytest.mark.parametrize("argument", ["half", "1.1", "-0.1", "nan"])
def test_a_ratio_that_is_none_is_warned_of_and_takes_all(argument: str) -> None:
    found, warnings = warned(
        {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": argument}
    )
    assert found == OtelConfig(sampler=Sampler(1.0, parent_based=True), resource=RESOURCE)
    assert warnings == [("OTEL_TRACES_SAMPLER_ARG", argument, "a number from 0 to 1")]


def test_resource_attributes_that_are_not_understood_leave_the_services_name() -> None:
    found, warnings = warned({"OTEL_RESOURCE_ATTRIBUTES": "team", "OTEL_SERVICE_NAME": "exits"})
    assert found == OtelConfig(resource={"service.name": "exits"})
    assert warnings == [("OTEL_RESOURCE_ATTRIBUTES", "team", "NAME=VALUE,NAME=VALUE with percent-encoding")]


def test_all_that_is_not_understood_is_warned_of_at_once() -> None:
    _, warnings = warned(
        {f"{PREFIX}LOGS_ENDPOINT": "http://c", f"{PREFIX}COMPRESSION": "br", "OTEL_TRACES_SAMPLER": "some"}
    )
    assert [name for name, _, _ in warnings] == [f"{PREFIX}COMPRESSION", "OTEL_TRACES_SAMPLER"]


# Whatever there is


@pytest.mark.parametrize("headers", [f"authorization=Bearer {SECRET}", *BAD_HEADERS])
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc", "unknown"])
def test_a_value_of_a_header_is_in_no_representation_log_or_error(headers: str, protocol: str) -> None:
    environment = {**HERE, f"{PREFIX}HEADERS": headers, f"{PREFIX}PROTOCOL": protocol}
    with structlog.testing.capture_logs() as logs:
        try:
            said = repr(read_config(environment))
        except OtelConfigError as error:
            said = "".join(traceback.format_exception(error)) + repr(error)
    assert SECRET not in said + repr(logs)


@given(
    st.dictionaries(
        st.sampled_from(VARIABLES),
        st.sampled_from(["http://c", "grpc", "gzip", "1", "a=b", "true", "none"])
        | st.text(st.characters(codec="utf-8"), max_size=12),
    )
)
def test_any_texts_are_understood_or_refused_under_the_name_of_one_of_them(
    environment: dict[str, str],
) -> None:
    try:
        with structlog.testing.capture_logs() as logs:
            found = read_config(environment)
    except OtelConfigError as error:
        assert str(error).partition(":")[0] in VARIABLES  # noqa: PT017  # understood or refused, nothing else
    else:
        assert {entry["variable"] for entry in logs} <= set(environment)
        assert found == OtelConfig() or "service.name" in found.resource
        assert all(target.seconds > 0 for target in found.endpoints.values())
