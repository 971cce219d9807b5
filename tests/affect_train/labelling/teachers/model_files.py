"""Tiny ONNX and TFLite classifiers, made in the test: the mean of each channel, a linear layer, a softmax where asked for."""

from pathlib import Path

import numpy as np


def write_onnx(
    path: Path, weights: np.ndarray, *, softmax: bool = False, size: int = 16, batch: int | str = "N"
) -> Path:
    """A graph from float [N, C, S, S] to ``scores`` [N, K].

    Args:
        path: of the file.
        weights: float32 [C, K].
        softmax: whether the scores are probabilities.
        size: S.
        batch: N, or a name where any goes.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    channels, classes = weights.shape
    nodes = [
        helper.make_node("GlobalAveragePool", ["faces"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"], axis=1),
        helper.make_node("MatMul", ["means", "weights"], ["linear" if softmax else "scores"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["linear"], ["scores"], axis=1))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, [batch, channels, size, size])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def write_tflite(path: Path, weights: np.ndarray, size: int = 16) -> Path:
    """A graph from float [1, S, S, C] to probabilities [1, K], laid out by the schema that the runtime ships.

    Args:
        path: of the file.
        weights: float32 [C, K].
        size: S.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    channels, classes = weights.shape
    model = schema.ModelT()
    model.version, model.description, model.buffers = 3, "tiny", [schema.BufferT()]
    subgraph = schema.SubGraphT()
    subgraph.tensors, subgraph.operators = [], []

    def tensor(name: str, shape: list[int], values: np.ndarray | None = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name, shape, 0
        made.type = (
            schema.TensorType.FLOAT32 if values is None or values.dtype == np.float32 else schema.TensorType.INT32
        )
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            made.buffer = len(model.buffers)
            model.buffers.append(buffer)
        subgraph.tensors.append(made)
        return len(subgraph.tensors) - 1

    def operator(builtin: int, kind: int, options: object, inputs: list[int], output: int) -> None:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        model.operatorCodes = [*(model.operatorCodes or []), code]
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(model.operatorCodes) - 1, inputs, [output]
        made.builtinOptionsType, made.builtinOptions = kind, options
        subgraph.operators.append(made)

    faces, means = tensor("faces", [1, size, size, channels]), tensor("means", [1, channels])
    axes = tensor("axes", [2], np.array([1, 2], np.int32))
    matrix = tensor("weights", [classes, channels], np.ascontiguousarray(weights.T.astype(np.float32)))
    linear, scores = tensor("linear", [1, classes]), tensor("scores", [1, classes])
    reducer, softmax = schema.ReducerOptionsT(), schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    kinds, builtins = schema.BuiltinOptions, schema.BuiltinOperator
    operator(builtins.MEAN, kinds.ReducerOptions, reducer, [faces, axes], means)
    operator(
        builtins.FULLY_CONNECTED,
        kinds.FullyConnectedOptions,
        schema.FullyConnectedOptionsT(),
        [means, matrix, -1],
        linear,
    )
    operator(builtins.SOFTMAX, kinds.SoftmaxOptions, softmax, [linear], scores)
    subgraph.inputs, subgraph.outputs = [faces], [scores]
    model.subgraphs = [subgraph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
