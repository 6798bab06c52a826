"""Failed runs from a store of traces."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.runtime import UnknownDataquery
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import DataSourceRef

from dashboards.panels import NOTHING, AnyPanel, PanelSpec

SERVICE = "exit-exporter"
NEWEST = 20
_STORE = DataSourceRef(type_val="jaeger", uid="${traces}")


class _Search(Builder[UnknownDataquery]):
    """Search for the newest failed runs, of which the SDK has no builder."""

    def build(self) -> UnknownDataquery:
        search = {"queryType": "search", "service": SERVICE, "tags": "error=true", "limit": NEWEST}
        store = {"type": _STORE.type_val, "uid": _STORE.uid}
        return UnknownDataquery({"refId": "A", "datasource": store, **search})


def traces_variable() -> build.DatasourceVariable:
    """Return the variable of the store of traces."""
    variable = build.DatasourceVariable("traces").label("Traces").type("jaeger")
    return variable.hide(model.VariableHide.HIDE_VARIABLE)


def failed_runs(number: int) -> AnyPanel:
    """Return the newest failed runs; each leads to its trace."""
    text = (
        "The newest failed runs, of all workloads. A click on one opens its trace, whose span has the error "
        "and, with --tail.lines, the end of the log; Jaeger's data source gives no column of them."
    )
    spec = PanelSpec(number, "Newest failed runs", text, 24, 10)
    panel = table.Panel().id(spec.number).title(spec.title).description(spec.description).no_value(NOTHING)
    return panel.datasource(_STORE).with_target(_Search()).span(spec.width).height(spec.height)
