import torch
from torch import nn

from liveavatar.dit.model.layers import SelfAttention
from liveavatar.dit.performance.fuse_qkv import fuse_qkv
from small_dit import golden, small_config, small_dit
from small_stream import run_stream


def test_fused_layers_compute_the_same() -> None:
    apart, joined = small_dit(), small_dit()
    fuse_qkv(joined)
    for expected, actual in zip(run_stream(apart), run_stream(joined), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_one_layer_replaces_three_without_a_copy() -> None:
    dit = small_dit()
    before = sum(weight.nbytes for weight in dit.parameters())
    fuse_qkv(dit)
    fuse_qkv(dit)
    dim = dit.config.dim
    for attention in dit.modules():
        if isinstance(attention, SelfAttention):
            assert {name for name, _ in attention.named_children()} == {"qkv", "o", "norm_q", "norm_k"}
            assert isinstance(attention.qkv, nn.Linear)
            assert attention.qkv.weight.shape == (3 * dim, dim)
            assert not attention.qkv.weight.requires_grad
    assert sum(weight.nbytes for weight in dit.parameters()) == before


def test_cross_attention_keeps_its_layers() -> None:
    dit = small_dit()
    fuse_qkv(dit)
    assert len(dit.project_text(golden("dit_kv")["context"])) == small_config().layers
    assert "audio_injector.injector.0.q.weight" in dit.state_dict()
