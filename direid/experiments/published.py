"""The figures that the paper prints in its tables 1, 2 and 3: not ours, and never mixed with ours.

Rank-1, Rank-5, Rank-10 in percent, and mAP where the paper has it. The paper trains a ResNet-50
with ImageNet weights on 256 x 128 images, says nothing of how many splits, and gives no spread.
"""

from __future__ import annotations

# benchmark -> method, in this package's names -> figures
PAPER: dict[str, dict[str, tuple[float, ...]]] = {
    "mlr_cuhk03": {  # table 1
        "resnet": (60.2, 86.6, 93.2),
        "tricks": (75.1, 91.3, 95.7),
        "di_reid": (85.7, 97.1, 98.6),
    },
    "mlr_viper": {  # table 1
        "resnet": (28.5, 53.8, 65.2),
        "tricks": (42.1, 63.9, 71.5),
        "di_reid": (50.3, 77.9, 87.3),
    },
    "caviar": {  # tables 1 and 3
        "resnet": (20.2, 61.0, 79.8),
        "tricks": (40.6, 76.2, 91.0),
        "di_reid": (51.2, 83.6, 94.4),
        "without_dil": (44.6, 82.2, 93.8),
        "without_multi_scale": (47.2, 82.4, 95.2),
        "without_attention": (48.0, 82.6, 93.8),
        "f_inv_only": (41.0, 80.8, 92.2),
        "f_sen_only": (45.4, 80.0, 91.2),
    },
    "msmt17": {  # table 2
        "resnet": (57.4, 72.9, 78.4, 29.2),
        "tricks": (68.8, 80.9, 84.7, 35.8),
        "di_reid": (75.5, 86.2, 89.5, 47.1),
    },
}

# its competitors in table 1: method -> benchmark -> figures
COMPETITORS: dict[str, dict[str, tuple[float | None, ...]]] = {
    "CamStyle": {
        "mlr_cuhk03": (69.1, 89.6, 93.9), "mlr_viper": (34.4, 56.8, 66.6),
        "caviar": (32.1, 72.3, 85.9),
    },
    "FD-GAN": {
        "mlr_cuhk03": (73.4, 93.8, 97.9), "mlr_viper": (39.1, 62.1, 72.5),
        "caviar": (33.5, 71.4, 86.5),
    },
    "JUDEA": {
        "mlr_cuhk03": (26.2, 58.0, 73.4), "mlr_viper": (26.0, 55.1, 69.2),
        "caviar": (22.0, 60.1, 80.8),
    },
    "SLD²L": {"mlr_viper": (20.3, 44.0, 62.0), "caviar": (18.4, 44.8, 61.2)},
    "SDF": {
        "mlr_cuhk03": (22.2, 48.0, 64.0), "mlr_viper": (9.3, 38.1, 52.4),
        "caviar": (14.3, 37.5, 62.5),
    },
    "SING": {
        "mlr_cuhk03": (67.7, 90.7, 94.7), "mlr_viper": (33.5, 57.0, 66.5),
        "caviar": (33.5, 72.7, 89.0),
    },
    "CSR-GAN": {
        "mlr_cuhk03": (71.3, 92.1, 97.4), "mlr_viper": (37.2, 62.3, 71.6),
        "caviar": (34.7, 72.5, 87.4),
    },
    "FFSR+RIFE": {
        "mlr_cuhk03": (73.3, 92.6, None), "mlr_viper": (41.6, 64.9, None),
        "caviar": (36.4, 72.0, None),
    },
    "RAIN": {
        "mlr_cuhk03": (78.9, 97.3, 98.7), "mlr_viper": (42.5, 68.3, 79.6),
        "caviar": (42.0, 77.3, 89.6),
    },
    "CAD-Net": {
        "mlr_cuhk03": (82.1, 97.4, 98.8), "mlr_viper": (43.1, 68.2, 77.5),
        "caviar": (42.8, 76.2, 91.5),
    },
    "GoogLeNet": {"msmt17": (47.6, 65.0, 71.8, 23.0)},
    "PDC": {"msmt17": (58.0, 73.6, 79.4, 29.7)},
    "GLAD": {"msmt17": (61.4, 76.8, 81.6, 85.9)},  # this mAP is as printed, and cannot be right
    "PCB": {"msmt17": (68.2, 81.2, 85.5, 40.4)},
    "IANet": {"msmt17": (75.5, 85.5, 88.7, 46.8)},
}  # fmt: skip
