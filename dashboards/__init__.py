"""Dashboards for Grafana, as code: the JSON files beside this are made from it by ``make dashboards``."""
