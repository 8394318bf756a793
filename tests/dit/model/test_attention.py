import torch

from liveavatar.dit.model.attention import torch_attention


def test_every_query_attends_to_every_key() -> None:
    q, k, v = (
        torch.randn(2, length, 3, 8, generator=torch.Generator().manual_seed(length)) for length in (5, 7, 9)
    )
    v = v[:, :7]
    scores = torch.einsum("bnhd,bshd->bhns", q, k) / 8**0.5
    expected = torch.einsum("bhns,bshd->bnhd", scores.softmax(dim=-1), v)
    torch.testing.assert_close(torch_attention(q, k, v), expected)


def test_keys_may_be_a_slice_of_a_longer_tensor() -> None:
    q, memory = torch.randn(1, 4, 2, 8), torch.randn(1, 20, 2, 8)
    part = memory[:, 3:11]
    assert torch.equal(torch_attention(q, part, part), torch_attention(q, part.clone(), part.clone()))
