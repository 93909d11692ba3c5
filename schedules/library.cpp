// The list of all recipes. A new recipe adds its header and one line here.
#include "schedules/library.h"

#include "schedules/cpu/direct/direct.h"
#include "schedules/cpu/maps/fallback.h"
#include "schedules/cpu/maps/pointwise.h"
#include "schedules/cpu/maps/pool.h"
#include "schedules/cpu/maps/scatter.h"
#include "schedules/cpu/matmul/matmul.h"
#include "schedules/cpu/sums/reduction.h"
#include "schedules/cpu/sums/softmax.h"
#include "schedules/cpu/winograd/winograd.h"
#include "schedules/cpu/winograd/winograd_filter_gradient.h"
#include "schedules/cpu/winograd/winograd_panel_gradient.h"
#include "schedules/gpu/depthwise/gpu_depthwise.h"
#include "schedules/gpu/depthwise/gpu_depthwise_filter_gradient.h"
#include "schedules/gpu/maps/gpu_map.h"
#include "schedules/gpu/product/gpu_filter_gradient.h"
#include "schedules/gpu/product/gpu_grouped_filter_gradient.h"
#include "schedules/gpu/product/gpu_grouped_product.h"
#include "schedules/gpu/product/gpu_product.h"
#include "schedules/gpu/product/gpu_split_product.h"
#include "schedules/gpu/product/gpu_strided_gradient.h"
#include "schedules/gpu/sums/gpu_sample_sums.h"
#include "schedules/gpu/sums/gpu_softmax.h"
#include "schedules/gpu/sums/gpu_sums.h"
#include "schedules/gpu/winograd/gpu_winograd.h"
#include "schedules/gpu/winograd/gpu_winograd_filter_gradient.h"

namespace emulsion {

RecipeLibrary make_library() {
    RecipeLibrary library;
    library.push_back(std::make_unique<DirectForward>());
    library.push_back(std::make_unique<DirectStridedDataGradient>());
    library.push_back(std::make_unique<DirectFilterGradient>());
    library.push_back(std::make_unique<Matmul>());
    library.push_back(std::make_unique<MatmulDataGradient>());
    library.push_back(std::make_unique<MatmulWeightGradient>());
    library.push_back(std::make_unique<Pointwise>());
    library.push_back(std::make_unique<Pool>());
    library.push_back(std::make_unique<Reduction>());
    library.push_back(std::make_unique<Scatter>());
    library.push_back(std::make_unique<SoftmaxRows>());
    library.push_back(std::make_unique<Winograd>());
    library.push_back(std::make_unique<WinogradFilterTransform>());
    library.push_back(std::make_unique<WinogradFilterGradient>());
    library.push_back(std::make_unique<WinogradPanelGradient>());
    library.push_back(std::make_unique<Fallback>());
    library.push_back(std::make_unique<GpuStridedGradient>());
    library.push_back(std::make_unique<GpuProduct>());
    library.push_back(std::make_unique<GpuSplitProduct>());
    library.push_back(std::make_unique<GpuWinograd>());
    library.push_back(std::make_unique<GpuFilterGradient>());
    library.push_back(std::make_unique<GpuWinogradFilterGradient>());
    library.push_back(std::make_unique<GpuGroupedProduct>());
    library.push_back(std::make_unique<GpuGroupedFilterGradient>());
    library.push_back(std::make_unique<GpuDepthwise>());
    library.push_back(std::make_unique<GpuDepthwiseFilterGradient>());
    library.push_back(std::make_unique<GpuSums>());
    library.push_back(std::make_unique<GpuSampleSums>());
    library.push_back(std::make_unique<GpuSoftmax>());
    library.push_back(std::make_unique<GpuMap>());
    library.push_back(std::make_unique<GpuPool>());
    library.push_back(std::make_unique<GpuFallback>());
    return library;
}

}  // namespace emulsion
