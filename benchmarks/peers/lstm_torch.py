"""Trains PyTorch's `nn.LSTM` for as long as it is told to; see ../lstm.py."""

import sys
import time

import torch
from torch import nn

STEPS, FEATURES, CLASSES, IMAGES = 28, 28, 10, 4000

torch.set_num_threads(1)
torch.set_num_interop_threads(1)


class Classifier(nn.Module):
    """Reads an image row by row; the last output goes through a linear layer."""

    def __init__(self, n_hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, n_hidden, batch_first=True)
        self.linear = nn.Linear(n_hidden, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Gives logits."""
        return self.linear(self.lstm(x)[0][:, -1])


def make(n_hidden: int, batch_size: int):
    images, labels = torch.rand(IMAGES, STEPS, FEATURES), torch.randint(0, CLASSES, (IMAGES,))
    model = Classifier(n_hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    loss_of = nn.CrossEntropyLoss()

    def train(n_steps: int) -> None:
        for _ in range(n_steps):
            chosen = torch.randint(0, IMAGES, (batch_size,))
            optimizer.zero_grad()
            loss_of(model(images[chosen]), labels[chosen]).backward()
            optimizer.step()

    return train


def main() -> None:
    known = {}
    print("ready", flush=True)
    for line in sys.stdin:
        *shape, n_steps = map(int, line.split())
        if tuple(shape) not in known:
            known = {tuple(shape): make(*shape)}
        start = time.perf_counter()
        known[tuple(shape)](n_steps)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
