"""Weights that optimisers reach in 100 steps, by the formulas of PyTorch 2.x's documentation (torch.optim, the algorithm of
each page), in double precision: the values in tests/reference/optimizers.txt, which tests/ops/optimizers_test.cpp compares with
the updates' ops.

    python3 tests/reference/optimizers.py > tests/reference/optimizers.txt

Three weights start at 1, -2, 0.5. In step t, from 1, weight i, from 0, has the gradient a_i (w_i - 0.2) + 0.3 sin(t (i + 1)), with
a = 1, 8, 0.1. A line has the name of a case, the step, and the weights after it.
"""
import math

STEPS = (1, 2, 10, 50, 100)


def sgd(state, w, g, t, lr, momentum=0, nesterov=False, weight_decay=0):
    g += weight_decay * w
    if not momentum:
        return w - lr * g
    state["b"] = momentum * state["b"] + g if t > 1 else g
    return w - lr * (g + momentum * state["b"] if nesterov else state["b"])


def adam(state, w, g, t, lr, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0, decoupled=False):
    if decoupled:
        w -= lr * weight_decay * w
    else:
        g += weight_decay * w
    state["m"] = b1 * state.get("m", 0) + (1 - b1) * g
    state["v"] = b2 * state.get("v", 0) + (1 - b2) * g * g
    return w - lr * (state["m"] / (1 - b1 ** t)) / (math.sqrt(state["v"] / (1 - b2 ** t)) + eps)


def adagrad(state, w, g, t, lr, initial=0, eps=1e-10, weight_decay=0):
    g += weight_decay * w
    state["s"] = state.get("s", initial) + g * g
    return w - lr * g / (math.sqrt(state["s"]) + eps)


def adadelta(state, w, g, t, lr, rho=0.9, eps=1e-6, weight_decay=0):
    g += weight_decay * w
    state["v"] = rho * state.get("v", 0) + (1 - rho) * g * g
    step = math.sqrt(state.get("u", 0) + eps) / math.sqrt(state["v"] + eps) * g
    state["u"] = rho * state.get("u", 0) + (1 - rho) * step * step
    return w - lr * step


def rmsprop(state, w, g, t, lr, alpha=0.99, eps=1e-8, centered=False, momentum=0, weight_decay=0):
    g += weight_decay * w
    state["v"] = alpha * state.get("v", 0) + (1 - alpha) * g * g
    spread = state["v"]
    if centered:
        state["g"] = alpha * state.get("g", 0) + (1 - alpha) * g
        spread -= state["g"] ** 2
    step = g / (math.sqrt(spread) + eps)
    if momentum:
        step = state["b"] = momentum * state.get("b", 0) + step
    return w - lr * step


CASES = {
    "sgd": (sgd, dict(lr=0.05)),
    "sgd_decay": (sgd, dict(lr=0.05, weight_decay=0.1)),
    "sgd_momentum": (sgd, dict(lr=0.02, momentum=0.9)),
    "sgd_nesterov": (sgd, dict(lr=0.02, momentum=0.9, nesterov=True, weight_decay=0.1)),
    "adam": (adam, dict(lr=0.05)),
    "adam_decay": (adam, dict(lr=0.05, weight_decay=0.1)),
    "adamw": (adam, dict(lr=0.05, b1=0.8, b2=0.99, weight_decay=0.1, decoupled=True)),
    "adagrad": (adagrad, dict(lr=0.1)),
    "adagrad_decay": (adagrad, dict(lr=0.1, initial=0.1, weight_decay=0.1)),
    "adadelta": (adadelta, dict(lr=1)),
    "adadelta_decay": (adadelta, dict(lr=0.5, rho=0.95, eps=1e-4, weight_decay=0.1)),
    "rmsprop": (rmsprop, dict(lr=0.02)),
    "rmsprop_momentum": (rmsprop, dict(lr=0.005, momentum=0.9, weight_decay=0.1)),
    "rmsprop_centered": (rmsprop, dict(lr=0.01, alpha=0.9, centered=True, eps=1e-3)),
    "rmsprop_both": (rmsprop, dict(lr=0.002, alpha=0.9, centered=True, momentum=0.8, eps=1e-3)),
}


def main():
    for name, (step, options) in CASES.items():
        weights, states = [1.0, -2.0, 0.5], [{}, {}, {}]
        for t in range(1, STEPS[-1] + 1):
            for i, a in enumerate((1.0, 8.0, 0.1)):
                gradient = a * (weights[i] - 0.2) + 0.3 * math.sin(t * (i + 1))
                weights[i] = step(states[i], weights[i], gradient, t, **options)
            if t in STEPS:
                print(name, t, *(f"{w:.9g}" for w in weights))


if __name__ == "__main__":
    main()
