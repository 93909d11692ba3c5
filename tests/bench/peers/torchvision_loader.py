"""Pictures a second of the processor's time that torchvision reads out of folders of JPEG files, on one thread.

python torchvision_loader.py FOLDER SIDE SECONDS: decoded, resized to SIDE by SIDE (bilinear, antialiased), normalised and
put into batches of 64; then flipped and cropped at random as well. Lines "WAY WHAT RATE", in two ways:
    pillow  ImageFolder as it comes: pictures of Pillow until ToTensor
    tensor  decode_jpeg and transforms v2 on tensors of bytes
"""
import sys
import time

import torch
import torchvision
from torchvision import transforms
from torchvision.transforms import v2

folder, side, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
torch.set_num_threads(1)
MEAN, DEVIATION = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]


def augmented(package):
    return [package.RandomHorizontalFlip(), package.RandomCrop(side, padding=4)]


def pillow(more):
    return torchvision.datasets.ImageFolder(folder, transforms.Compose([
        transforms.Resize((side, side)), *more, transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)]))


def tensor(more):
    def read(path):
        return torchvision.io.decode_jpeg(torchvision.io.read_file(path), torchvision.io.ImageReadMode.RGB)
    return torchvision.datasets.ImageFolder(folder, v2.Compose([
        v2.Resize((side, side), antialias=True), *more, v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, DEVIATION)]), loader=read)


def rate_of(data):
    """Of whole batches, for at least so many seconds; the first is not counted."""
    torch.manual_seed(1)
    done, begin = 0, None
    while True:
        for images, _ in torch.utils.data.DataLoader(data, 64, shuffle=True, num_workers=0):
            if begin is None:
                begin = time.process_time()
                continue
            done += len(images)
            passed = time.process_time() - begin
            if passed >= seconds:
                return done / passed


for way, dataset, package in (("pillow", pillow, transforms), ("tensor", tensor, v2)):
    print(way, "read", f"{rate_of(dataset([])):.1f}")
    print(way, "augmented", f"{rate_of(dataset(augmented(package))):.1f}", flush=True)
