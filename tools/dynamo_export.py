"""Export transformers models by torch's dynamo exporter, into files as folders name them.

optimum 0.1 exports by TorchScript only. The graphs have no caches: pyengine reads weights alone.
`build` makes the folders tests/fixtures/NAME-dynamo, the models of NAME in this form. Called by
tools.make_fixtures.
"""

import shutil
from pathlib import Path

import onnx
import torch
from transformers import PreTrainedModel

FIXTURES_DIR = Path(__file__).resolve().parents[1] / "tests" / "fixtures"
BATCH, SOURCE, TARGET = (torch.export.Dim(name) for name in ("batch", "source", "target"))


class Encoder(torch.nn.Module):
    """The encoder of an encoder-decoder model as encoder_model.onnx has it."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = model.get_encoder()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """last_hidden_state [batch, source, d] of ids and mask [batch, source]."""
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class Decoder(torch.nn.Module):
    """The decoder of an encoder-decoder model as decoder_model.onnx has it."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        encoder_attention_mask: torch.Tensor,
        input_ids: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
    ) -> torch.Tensor:
        """logits [batch, target, vocab_size] of ids [batch, target]."""
        return self.model(
            decoder_input_ids=input_ids,
            encoder_outputs=(encoder_hidden_states,),
            attention_mask=encoder_attention_mask,
            use_cache=False,
        ).logits


class OneStack(torch.nn.Module):
    """An encoder-only or decoder-only model as model.onnx has it."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The first output of ids and mask [batch, source]."""
        cached = {"use_cache": False} if self.model.config.is_decoder else {}
        return self.model(input_ids=input_ids, attention_mask=attention_mask, **cached)[0]


def build(name: str, model: PreTrainedModel, opset: int | None) -> None:
    """Writes the model of the fixture `name`, of one stack with logits, as NAME-dynamo.

    From opset 23 on, attention, RMS norms and rotary positions are operators of their own.
    """
    folder = FIXTURES_DIR / f"{name}-dynamo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(FIXTURES_DIR / name / "config.json", folder)
    export_one_stack(model, "logits", folder, opset)


def export_pair(model: PreTrainedModel, folder: Path) -> None:
    """Writes encoder_model.onnx and decoder_model.onnx."""
    ids, mask = torch.randint(3, 20, (2, 7)), torch.ones(2, 7, dtype=torch.int64)
    states = torch.randn(2, 7, model.config.d_model)
    _export(
        Encoder(model),
        {"input_ids": ids, "attention_mask": mask},
        "last_hidden_state",
        folder / "encoder_model.onnx",
    )
    _export(
        Decoder(model),
        {
            "encoder_attention_mask": mask,
            "input_ids": torch.randint(3, 20, (2, 5)),
            "encoder_hidden_states": states,
        },
        "logits",
        folder / "decoder_model.onnx",
    )


def export_one_stack(
    model: PreTrainedModel, output: str, folder: Path, opset: int | None = None
) -> None:
    """Writes model.onnx with `output`, logits or last_hidden_state; opset None: the default."""
    ids, mask = torch.randint(3, 20, (2, 7)), torch.ones(2, 7, dtype=torch.int64)
    inputs = {"input_ids": ids, "attention_mask": mask}
    _export(OneStack(model), inputs, output, folder / "model.onnx", opset)


def _export(
    module: torch.nn.Module,
    inputs: dict[str, torch.Tensor],
    output: str,
    path: Path,
    opset: int | None = None,
) -> None:
    is_pair = "encoder_hidden_states" in inputs
    shapes = {
        name: {0: BATCH, 1: TARGET if is_pair and name == "input_ids" else SOURCE}
        for name in inputs
    }
    program = torch.onnx.export(
        module.eval(),
        kwargs=inputs,
        dynamo=True,
        dynamic_shapes=shapes,
        input_names=list(inputs),
        output_names=[output],
        opset_version=opset,
        verbose=False,
    )
    proto = program.model_proto
    _strip_metadata(proto.graph)
    onnx.save(proto, path)


def _strip_metadata(graph: onnx.GraphProto) -> None:
    """Leaves out what the exporter notes beside the graph: stack traces, with local paths."""
    for part in (graph, *graph.node, *graph.initializer, *graph.value_info):
        part.ClearField("metadata_props")
