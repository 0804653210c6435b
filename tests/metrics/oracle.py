#!/usr/bin/env python3
"""A second opinion on metrics.

  oracle.py frechet OUT.npz        by SciPy: pairs of means and covariances and their distances; needs NumPy and SciPy
  oracle.py weights OUT.pth        Inception with seeded random weights; needs PyTorch, torch-fidelity and pytorch-fid
  oracle.py features WEIGHTS.pth IMAGES.npz OUT.npz
                                   features by both, and the figures of a and b among the images by torch-fidelity
"""

import sys
import types

import numpy as np


def frechet(out):
    from scipy import linalg

    rng = np.random.default_rng(0)
    answer, distances = {}, []
    for i in range(20):
        width = int(rng.integers(2, 40))
        # Every second pair is singular: fewer directions than dimensions.
        ranks = [width if i % 2 == 0 else max(1, width // 2 - j) for j in range(2)]
        means = [rng.normal(size=width) for _ in range(2)]
        factors = [rng.normal(size=(rank, width)) for rank in ranks]
        covariances = [factor.T @ factor for factor in factors]
        root = linalg.sqrtm(covariances[0] @ covariances[1]) if i % 2 == 0 else None
        # sqrtm of a singular product is inexact; its trace is that of the small product of the factors.
        small = factors[0] @ covariances[1] @ factors[0].T
        trace = np.trace(linalg.sqrtm(small)).real if root is None else np.trace(root).real
        distance = np.sum((means[0] - means[1]) ** 2) + sum(np.trace(c) for c in covariances) - 2 * trace
        distances.append(distance)
        for j in range(2):
            answer[f"mean{i}_{j}"], answer[f"covariance{i}_{j}"] = means[j], covariances[j]
    np.savez(out, distances=np.array(distances), **answer)


def random_inception():
    import torch
    from torch_fidelity import feature_extractor_inceptionv3 as fidelity

    torch.manual_seed(0)
    fidelity.load_state_dict_from_url = lambda *_, **__: None
    load, fidelity.FeatureExtractorInceptionV3.load_state_dict = fidelity.FeatureExtractorInceptionV3.load_state_dict, \
        lambda *_, **__: None
    network = fidelity.FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"])
    fidelity.FeatureExtractorInceptionV3.load_state_dict = load
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.normal_(1, 0.1), module.bias.normal_(0, 0.1)
            module.running_mean.normal_(0, 0.1), module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def weights(out):
    import torch

    with torch.no_grad():
        torch.save(random_inception().state_dict(), out)


def pytorch_fid_features(path, images):
    import torch
    from pytorch_fid import inception

    inception.load_state_dict_from_url = lambda *_, **__: torch.load(path)
    network = inception.InceptionV3().eval()
    return network(images.float() / 255)[0].flatten(1)


def features(path, images_path, out):
    import torch
    from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    images = {name: torch.from_numpy(array) for name, array in np.load(images_path).items()}
    network = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=path)
    spatial = []
    network.Mixed_6d.branch1x1.register_forward_hook(lambda *a: spatial.append(a[2][:, :7].flatten(1)))
    answer = {}
    with torch.no_grad():
        for name, batch in images.items():
            answer[f"features_{name}"], answer[f"logits_{name}"] = network(batch)
            answer[f"spatial_{name}"] = spatial.pop()
            answer[f"torch_{name}"] = pytorch_fid_features(path, batch)
    a, b = answer["features_a"], answer["features_b"]
    fid = metric_fid.fid_statistics_to_metric(
        *(metric_fid.fid_features_to_statistics(x) for x in (a, b)), verbose=False)
    size = len(a)
    kid = metric_kid.kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=size, verbose=False)
    score = metric_isc.isc_features_to_metric(answer["logits_a"], splits=1)
    prc = metric_prc.prc_features_to_metric(a, b, verbose=False)
    figures = types.SimpleNamespace(**fid, **kid, **score, **prc)
    answer["figures"] = np.array([figures.frechet_inception_distance, figures.kernel_inception_distance_mean,
                                  figures.inception_score_mean, figures.precision, figures.recall])
    np.savez(out, **{name: np.asarray(value) for name, value in answer.items()})


if __name__ == "__main__":
    {"frechet": frechet, "weights": weights, "features": features}[sys.argv[1]](*sys.argv[2:])
