"""Trained networks for elsewhere: ONNX models, and a page that draws in a browser."""

from oneira.feedforward.export.departure import Departure
from oneira.feedforward.export.onnx import OnnxModel, onnx_model
from oneira.feedforward.export.runtime import BrowserRuntime, browser_runtime
from oneira.feedforward.export.web import WebPage, require_page_folder, web_page

__all__ = [
    "BrowserRuntime",
    "Departure",
    "OnnxModel",
    "WebPage",
    "browser_runtime",
    "onnx_model",
    "require_page_folder",
    "web_page",
]
