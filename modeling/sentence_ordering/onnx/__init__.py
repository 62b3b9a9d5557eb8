"""Orderers as ONNX graphs, exported and run by onnxruntime (extra `onnx`)."""
