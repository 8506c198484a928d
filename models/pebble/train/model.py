"""An ordinary Llama in plain torch: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied embedding."""
from dataclasses import asdict, dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    vocab: int = 1024
    dim: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    hidden: int = 768
    theta: float = 10000.0
    eps: float = 1e-5
    max_len: int = 2048

    def as_dict(self):
        return asdict(self)


def rotary_table(c, length):
    inv = 1.0 / c.theta ** (torch.arange(0, c.head_dim, 2, dtype=torch.float32) / c.head_dim)
    a = torch.outer(torch.arange(length, dtype=torch.float32), inv)
    a = torch.cat([a, a], -1)
    return a.cos(), a.sin()


def rotate(x, cos, sin):
    """The half-split form that Hugging Face Llama checkpoints use."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
        self.norm1 = nn.Parameter(torch.ones(c.dim))
        self.norm2 = nn.Parameter(torch.ones(c.dim))
        shape = {"q": (q, c.dim), "k": (kv, c.dim), "v": (kv, c.dim), "o": (c.dim, q), "gate": (c.hidden, c.dim), "up": (c.hidden, c.dim), "down": (c.dim, c.hidden)}
        for name, s in shape.items():
            w = torch.randn(s) * s[1] ** -0.5 * (0.3 if name in ("o", "down") else 0.6)
            setattr(self, name, nn.Parameter(w))

    def forward(self, x, cos, sin, mask):
        c, (B, T, _) = self.c, x.shape
        lin = lambda v, w: F.linear(v, w.to(v.dtype))
        h = F.rms_norm(x, (c.dim,), self.norm1.to(x.dtype), c.eps)
        q = lin(h, self.q).view(B, T, c.heads, c.head_dim).transpose(1, 2)
        k = lin(h, self.k).view(B, T, c.kv_heads, c.head_dim).transpose(1, 2)
        v = lin(h, self.v).view(B, T, c.kv_heads, c.head_dim).transpose(1, 2)
        q, k = rotate(q, cos, sin) * c.head_dim ** -0.5, rotate(k, cos, sin)
        # Written out: on a CPU the fused attention's backward pass with a mask is slower than plain products.
        g, n = B * c.kv_heads, c.heads // c.kv_heads
        s = torch.bmm(q.reshape(g, n * T, c.head_dim), k.reshape(g, T, c.head_dim).transpose(1, 2))
        p = torch.softmax(s.view(B, c.heads, T, T) + mask, -1).view(g, n * T, T)
        a = torch.bmm(p, v.reshape(g, T, c.head_dim)).view(B, c.heads, T, c.head_dim)
        x = x + lin(a.transpose(1, 2).reshape(B, T, -1), self.o)
        h = F.rms_norm(x, (c.dim,), self.norm2.to(x.dtype), c.eps)
        return x + lin(F.silu(lin(h, self.gate)) * lin(h, self.up), self.down)


class Llama(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed = nn.Parameter(torch.randn(c.vocab, c.dim) * 0.05)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = nn.Parameter(torch.ones(c.dim))
        cos, sin = rotary_table(c, c.max_len)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def hidden(self, ids, mask=None, dtype=torch.bfloat16):
        T = ids.shape[1]
        x = F.embedding(ids, self.embed.to(dtype))
        cos, sin = self.cos[:T].to(dtype), self.sin[:T].to(dtype)
        if mask is None:
            mask = additive(torch.ones(1, 1, T, T, dtype=torch.bool, device=ids.device).tril(), dtype)
        for b in self.blocks:
            x = b(x, cos, sin, mask)
        return F.rms_norm(x, (self.c.dim,), self.norm.to(dtype), self.c.eps)

    def logits(self, h):
        return F.linear(h, self.embed.to(h.dtype)).float()


def additive(allowed, dtype=torch.bfloat16):
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(~allowed, -1e4)


def document_mask(doc, dtype=torch.bfloat16):
    """Causal, and only within a document; padding sees itself so that no row is empty."""
    T = doc.shape[1]
    same = doc[:, None, :, None] == doc[:, None, None, :]
    return additive(same & torch.ones(T, T, dtype=torch.bool, device=doc.device).tril(), dtype)
