"""Muon for the matrices: the momentum, orthogonalised by five Newton-Schulz steps."""
import torch


def orthogonalise(g):
    """Batched over matrices of one shape."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.to(torch.bfloat16)
    flip = x.shape[1] > x.shape[2]
    if flip:
        x = x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    x = x.contiguous()
    for _ in range(5):
        s = torch.bmm(x, x.transpose(1, 2))
        x = a * x + torch.bmm(b * s + c * torch.bmm(s, s), x)
    return (x.transpose(1, 2) if flip else x).float()


class Muon:
    def __init__(self, params, momentum=0.95, decay=0.1):
        groups = {}
        for p in params:
            groups.setdefault(tuple(p.shape), []).append(p)
        self.groups = list(groups.values())
        self.buf = [torch.zeros(len(g), *g[0].shape, device=g[0].device) for g in self.groups]
        self.momentum, self.decay = momentum, decay

    @torch.no_grad()
    def step(self, lr):
        for g, buf in zip(self.groups, self.buf):
            grad = torch.stack([p.grad for p in g])
            buf.mul_(self.momentum).add_(grad)
            u = orthogonalise(grad.add_(buf, alpha=self.momentum))
            scale = 0.2 * max(g[0].shape) ** 0.5
            for p, d in zip(g, u):
                p.mul_(1 - lr * self.decay).add_(d, alpha=-lr * scale)

    def state_dict(self):
        return self.buf

    def load_state_dict(self, s):
        for b, x in zip(self.buf, s):
            b.copy_(x)
