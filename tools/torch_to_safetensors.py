#!/usr/bin/env python3
"""Converts PyTorch checkpoints to safetensors files, which mase loads (--load=OUT).

    python3 tools/torch_to_safetensors.py best.ckpt best.safetensors

Takes state dicts (.pt), Lightning checkpoints (.ckpt: their "state_dict", names without the leading
"model.") and, with --unsafe, whole pickled modules (.mz): unpickling those runs code from the file,
so only for files you trust. Wants PyPI's torch and safetensors.
"""
import argparse
import sys


def state_dict_of(loaded):
    """The tensors by name in whatever torch.load returned."""
    if hasattr(loaded, "state_dict"):  # A module.
        loaded = loaded.state_dict()
    if "state_dict" in loaded:  # Lightning's, with optimizer states and more beside it.
        loaded = loaded["state_dict"]
        # MASE drops everything up to the first dot of "model.seq_blocks.0.weight".
        loaded = {k.split(".", 1)[1]: v for k, v in loaded.items() if k.startswith("model.")}
    return loaded


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("input", help="a .pt, .ckpt or .mz file")
    parser.add_argument("output", help="the .safetensors file to write")
    parser.add_argument("--unsafe", action="store_true",
                        help="unpickle anything; runs code from the file")
    args = parser.parse_args()

    import torch
    from safetensors.torch import save_file

    try:
        loaded = torch.load(args.input, map_location="cpu", weights_only=not args.unsafe)
    except Exception as error:  # Whatever a pickle can do wrong.
        sys.exit(f"{args.input}: {error}\n(a whole module needs --unsafe)")
    tensors = {}
    for name, value in state_dict_of(loaded).items():
        if not torch.is_tensor(value):
            print(f"skipped {name}: a {type(value).__name__}, not a tensor", file=sys.stderr)
            continue
        # Views and shared tensors become copies: each name has its own bytes in the file.
        tensors[name] = value.detach().clone().contiguous()
    if not tensors:
        sys.exit(f"{args.input}: no tensors found")
    save_file(tensors, args.output)
    print(f"{args.output}: {len(tensors)} tensors, {sum(t.numel() for t in tensors.values())} numbers")


if __name__ == "__main__":
    main()
