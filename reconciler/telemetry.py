"""Structured logs and traces. Logs go to stderr, a line each; traces only where OTEL_TRACES_EXPORTER asks for them."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

Log = structlog.stdlib.BoundLogger


def configure(log_format: str) -> None:
    """Set up the process's logs and traces."""
    as_text = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    renderer = structlog.processors.JSONRenderer() if log_format == "json" else as_text
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    if os.environ.get("OTEL_TRACES_EXPORTER") == "console":
        provider = TracerProvider(resource=Resource.create({"service.name": "holdfast"}))
        provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
        trace.set_tracer_provider(provider)


def silence() -> None:
    """Log nothing but defects, and those to stderr: unconfigured, structlog would write to stdout."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def logger() -> Log:
    log: Log = structlog.get_logger()
    return log


@contextlib.contextmanager
def span(name: str, **attributes: str | float) -> Iterator[None]:
    """One span of a trace; costs next to nothing where no traces are asked for."""
    with trace.get_tracer("holdfast").start_as_current_span(name, attributes=attributes):
        yield
