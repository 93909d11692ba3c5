// Lesson 3: devices.
//
// A library holds kernels for processors and, where it was asked for, for devices: graphics cards
// through CUDA, OpenCL or Vulkan. Which of them a program takes is decided when it starts. Without
// a graphics card this lesson runs on PoCL, an OpenCL driver that runs on the processor (Debian:
// pocl-opencl-icd). Copy this file to a folder of your own, then:
//
// 1. Build for the processors and for OpenCL. `--target native,cuda,opencl,vulkan` adds the others;
// each interface adds its kernels to the libraries, and nothing to the time of a step elsewhere.
//
//     emulsion build lesson_03_devices.cpp -o out --batch 32 --infer-batch 1 --target native,opencl
//
// 2. See what is there. A name is an interface and an index; where there is no driver, a line says
// so, and all goes on on the processor.
//
//     out/devices-train --list-devices
//
// 3. See what it takes. Parameters, state of the optimiser, gradients and activations lie on the
// device for the whole run, in memory that is taken once, before the first step; `of the device`
// stands behind their bytes. Samples go in at each step, and the loss comes out.
//
//     out/devices-train --data synthetic:640 --dry-run --device opencl:0
//
// 4. Train there. `--device gpu` takes the first GPU or, where there is none, software such as
// PoCL's; `auto` then takes the processor, which is faster.
//
//     out/devices-train --data synthetic:640 --epochs 2 --checkpoint run --device opencl:0
//
// 5. Go on on the processor, and back. A checkpoint is the same file everywhere: whatever lies on
// the device is fetched for it. On one device the bits are the same each time, however often a run
// was stopped; another device adds in another order, so the last digits differ.
//
//     out/devices-train --data synthetic:640 --epochs 3 --checkpoint run --resume --device cpu
//     out/devices-train --data synthetic:640 --epochs 4 --checkpoint run --resume --device opencl:0
//
// 6. Classify with the weights on either.
//
//     out/devices-infer --data synthetic:640 --weights run/weights.safetensors --device opencl:0
//     out/devices-infer --data synthetic:640 --weights run/weights.safetensors --device cpu
//
// 7. See where the time goes: each kernel is timed on its own, its launches and the wait for them.
//
//     out/devices-train --data synthetic:640 --epochs 1 --device opencl:0 --profile=profile.json
//
// In a program of your own the same is `options.device = "opencl:0"` for NAME_bind; NAME_upload
// carries parameters and state there before the first step, NAME_download back. The header's text
// says the rest.
#include "dsl/emulsion.h"

using namespace emulsion;

int main(int argc, char** argv) {
    Model m("devices");
    Tensor x = m.input("image", {1, 28, 28});
    // Nothing here names a device: the same layers become kernels of each.
    x = max_pool(relu(conv(x, 16, {.kernel = 3, .padding = same})), {.window = 2});
    m.classify(dense(flatten(x), 10));
    m.optimizer(sgd({.learning_rate = 0.02, .momentum = 0.9}));
    return compile(m, argc, argv);
}
