"""Models of other engines, written as the ONNX folder that pyengine reads."""
