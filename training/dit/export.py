"""Write the weights that the package loads: one file, matrices in 8 bits.

    python -m training.dit.export DATA AUTOENCODER_RUN RUN src/liveavatar/dit/assets/small.safetensors

It prints the file's SHA-256, which `liveavatar.dit.checkpoint.package_weights` checks.
"""

import argparse
import hashlib
import logging
from pathlib import Path

from safetensors.torch import save
from torch import Tensor
from training.dit.autoencoder import load_autoencoder
from training.dit.flow import FeatureNormaliser
from training.dit.stage import open_run

from liveavatar.dit.checkpoint.package_weights import pack_weights
from liveavatar.files import atomic_write


def collect_weights(data: Path, autoencoder_run: Path, run: Path) -> dict[str, Tensor]:
    """The weights of all networks by name."""
    state = open_run(run).load_checkpoint()
    if state is None:
        raise SystemExit(f"{run} has no checkpoint")
    normaliser = FeatureNormaliser.measure(data)
    networks = {
        "transformer": state["average"],
        "autoencoder": load_autoencoder(autoencoder_run / "autoencoder.safetensors").state_dict(),
        "audio": {"mean": normaliser.mean, "spread": normaliser.spread},
    }
    return {f"{network}.{name}": part for network, parts in networks.items() for name, part in parts.items()}


def main(arguments: list[str] | None = None) -> None:
    """Pack and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("data", "autoencoder_run", "run", "output"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args(arguments)
    content = save(pack_weights(collect_weights(options.data, options.autoencoder_run, options.run)))
    with atomic_write(options.output) as partial:
        partial.write_bytes(content)
    logging.info("%.1f MB, SHA-256 %s", len(content) / 1e6, hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
