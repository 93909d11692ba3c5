// The tables. Of rows with the same word elsewhere, the first counts that has a name known where
// the word was found; then what is made of other layers.
#include "compiler/support/synonyms.h"

#include <algorithm>

namespace emulsion {

namespace {

constexpr Synonyms kLayers[] = {
    {"conv conv2d",
     "convolution convolve crosscorrelation xcorr spatialconvolution pointwiseconv pointwise "
     "atrousconv atrousconvolution dilatedconv dilatedconvolution groupconv groupedconv"},
    {"depthwise_conv conv2d", "depthwiseconv depthwiseconvolution depthwise dwconv", "conv2d",
     "with as many groups as channels"},
    {"conv_transpose conv2d_backward_data",
     "deconv deconvolution transposedconv transposedconvolution convtransposed convtranspose2d "
     "conv1dtranspose conv2dtranspose conv3dtranspose convolutiontranspose fractionalconv "
     "fullconvolution upconv upconvolution"},
    {"embedding gather", "embed lookup embeddings embeddinglookup"},
    {"deform_conv deform_sample", "deformableconv deformableconvolution dcn"},
    {"locally_connected local_dense", "localconv unsharedconv"},
    {"graph_conv", "gcn gcnconv graphconvolution"},
    {"neighbor_pool", "neighbourpool"},
    {"graph_pool", "globaladdpool globalmeanpool readout"},
    {"gather", "take indexselect"},
    {"scatter_sum", "scatteradd segmentsum indexadd"},
    {"scatter_max", "scatterreduce segmentmax"},
    {"pixel_shuffle depth_to_space", "depthtospace subpixel"},
    {"pixel_unshuffle space_to_depth", "spacetodepth"},
    {"stochastic_depth", "droppath dropconnect"},
    {"dense", "linear fullyconnected fc innerproduct gemm matmul mlp affine addmm"},
    {"max_pool", "maxpooling maxpooling2d maxpool maximumpool"},
    {"average_pool", "avgpool averagepooling averagepooling2d avgpooling meanpool"},
    {"global_average_pool reduce",
     "globalaveragepooling globalaveragepooling2d globalavgpool gap adaptiveavgpool", "reduce",
     "with {keep_samples=true, keep_channels=true, mean=true}"},
    {"global_max_pool max_pool",
     "globalmaxpooling globalmaxpooling2d globalmaxpool adaptivemaxpool", "max_pool",
     "with a window of the whole map"},
    {"max_unpool max_pool_backward", "unpool unpooling maxunpooling"},
    {"subsample", "subsampling trainablesubsampling"},
    {"relu", "rectifier rectifiedlinear rectifiedlinearunit"},
    {"relu6", "relusix"},
    {"leaky_relu", "lrelu leakyrectifier"},
    {"leaky_relu", "rrelu randomizedrelu", "leaky_relu", "with one slope"},
    {"prelu", "parametricrelu parametricrectifier"},
    {"silu", "swish swish1"},
    {"hard_swish", "hswish hardsilu"},
    {"hard_sigmoid", "hsigmoid"},
    {"sigmoid", "logistic expit"},
    {"tanh", "hyperbolictangent tangenthyperbolic"},
    {"gelu", "gaussianerrorlinearunit"},
    {"elu", "exponentiallinearunit"},
    {"softplus", "smoothrelu"},
    {"log_softmax", "logsoftmax"},
    {"rbf", "radialbasis radialbasisfunction"},
    {"batch_norm", "batchnormalization batchnormalisation bn syncbatchnorm"},
    {"layer_norm group_norm", "layernormalization layernormalisation ln", "group_norm",
     "with {groups=1}"},
    {"group_norm", "groupnormalization groupnormalisation gn"},
    {"instance_norm group_norm", "instancenormalization instancenormalisation", "group_norm",
     "with as many groups as channels"},
    {"local_response_norm", "lrn localresponsenormalization localresponsenormalisation"},
    {"concatenate", "concat cat join stack"},
    {"flatten", "ravel"},
    {"reshape view", "unflatten view squeeze unsqueeze expanddims"},
    {"transpose", "permute swapaxes"},
    {"upsample resize",
     "upsampling upsampling2d upsamplingnearest upsamplingbilinear interpolate resizing "
     "resizebilinear resizenearest unsample"},
    {"channel_shuffle", "shufflechannels"},
    {"pad", "zeropadding zeropadding2d zeropad constantpad reflectionpad replicationpad"},
    {"crop", "cropping cropping2d centercrop"},
    {"slice", "narrow stridedslice select"},
    {"split", "chunk unbind"},
    {"flip", "reverse mirror fliplr flipud"},
    {"spatial_dropout", "spatialdropout featuredropout dropout1d dropout2d dropout3d"},
    {"gaussian_noise", "noise"},
    {"dropout", "drop"},
    {"squeeze_excitation", "se seblock squeezeexcite squeezeandexcitation"},
    {"add", "plus sum eltwiseadd residual shortcut skip skipconnection"},
    {"subtract", "sub minus"},
    {"multiply", "mul times hadamard"},
    {"divide", "div truediv"},
    {"maximum", "max"},
    {"minimum", "min"},
    {"mean reduce_axes", "avg average reducemean", "reduce_axes", "with {mean=true}"},
    {"sum reduce_axes", "reducesum"},
    {"clip", "clamp hardtanh cliptorange"},
    {"pow power", "powf square"},
    {"reciprocal", "inverse"},
    {"negate", "neg"},
    {"stop_gradient", "detach nograd"},
    {"stft", "shorttimefouriertransform fouriertransform fft rfft"},
    {"spectrogram", "spectrum powerspectrogram"},
    {"mel_bands", "melscale melfilterbank melspectrogram mel"},
    {"conv_rbm", "rbm crbm restrictedboltzmannmachine boltzmannmachine"},
    {"input", "inputlayer placeholder"},
    {"parameter", "variable weight weights"},
    {"classify softmax_cross_entropy",
     "crossentropyloss sparsecategoricalcrossentropy nllloss softmaxwithloss softmaxloss"},
    {"cross_entropy distribution_cross_entropy", "categoricalcrossentropy"},
    {"cross_entropy distribution_cross_entropy", "kldivloss kldivergence kullbackleibler",
     "cross_entropy", "whose gradient is the same"},
    {"binary_cross_entropy",
     "bce bceloss bcewithlogitsloss binarycrossentropywithlogits multilabelsoftmarginloss"},
    {"mean_squared_error", "mse mseloss l2loss euclideanloss"},
    {"mean_absolute_error absolute_error", "mae l1loss"},
    {"smooth_l1 huber", "smoothl1loss"},
    {"huber", "huberloss"},
    {"multi_margin", "multimarginloss multiclasshinge categoricalhinge"},
    {"hinge", "hingeloss"},
    {"adamw adam", "adamweightdecay", "adam", "with {decoupled=true}"},
    {"rmsprop", "rmspropoptimizer"},
    {"sgd", "momentum nesterov gradientdescent stochasticgradientdescent"},
    {"cosine_rate cosine", "cosineannealing cosineannealinglr cosinedecay"},
    {"cosine_restarts_rate cosine_restarts",
     "cosineannealingwarmrestarts cosinedecayrestarts sgdr warmrestarts"},
    {"step_rate step", "steplr stepdecay staircase"},
    {"multi_step_rate multi_step", "multisteplr piecewiseconstantdecay piecewiseconstant"},
    {"exponential_rate exponential", "exponentiallr exponentialdecay"},
    {"polynomial_rate polynomial", "polynomiallr polynomialdecay poly"},
    {"linear_rate linear", "linearlr lineardecay"},
    {"cyclic_rate cyclic", "cycliclr triangular"},
    {"one_cycle_rate one_cycle", "onecyclelr onecycle superconvergence"},
    {"plateau_rate plateau", "reducelronplateau reduceonplateau"},
    {"warm_up", "warmup linearwarmup"},
};

constexpr Composite kComposites[] = {
    {"separableconv separableconvolution depthwiseseparableconv depthwiseseparableconvolution",
     "conv(depthwise_conv(x), filters, {.kernel = 1})"},
    {"embeddingbag", "mean(embedding(index, vocabulary, width), {1})"},
    {"selu", "1.0507 * elu(x, {.alpha = 1.67326})"},
    {"celu", "alpha * elu(x / alpha)"},
    {"glu gatedlinearunit", "halves[0] * sigmoid(halves[1]), of halves = split(x, 2)"},
    {"logsigmoid", "-softplus(-x)"},
    {"softmin", "softmax(-x)"},
    {"softsign", "x / (1 + abs(x))"},
    {"softshrink softthreshold", "x - clip(x, -0.5, 0.5)"},
    {"tanhshrink", "x - tanh(x)"},
    {"rmsnorm rmsnormalization rmsnormalisation",
     "gain * x / sqrt(mean(x * x, {0}) + 1e-6), with a parameter gain"},
    {"rsqrt", "1 / sqrt(x)"},
    {"identity passthrough noop", "x itself"},
    {"activation",
     "the function itself, relu(x), or an option of the layer before, .activation = relu"},
    {"rescaling normalization", "m.normalize(means, deviations)"},
    {"randomflip randomhorizontalflip randomverticalflip", "m.augment({random_flip()})"},
    {"randomrotation", "m.augment({rotate(degrees)})"},
    {"randomcrop", "m.augment({random_crop(cells)})"},
    {"squaredhinge", "m.hinge(scores, {.squared = true})"},
    {"softmarginloss", "m.loss(softplus(-target * scores))"},
    {"rnn lstm lstmcell gru grucell simplernn convlstm attention multiheadattention transformer "
     "bilinear circularpad alphadropout adamax rprop asgd lion sort argsort std var norm",
     ""},
};

constexpr Synonyms kOptions[] = {
    {"kernel", "kernelsize ksize filtersize kernelshape k"},
    {"window", "poolsize kernelsize kernel ksize size kernelshape"},
    {"stride", "strides step subsample"},
    {"dilation", "dilationrate dilations rate atrous"},
    {"padding", "pad pads bordermode"},
    {"border", "paddingmode padmode mode fillmode"},
    {"groups", "group numgroups cardinality"},
    {"multiplier", "depthmultiplier channelmultiplier"},
    {"output_padding", "outputpad adj"},
    {"bias", "usebias biasterm"},
    {"untied_bias", "perpositionbias"},
    {"init", "kernelinitializer weightinitializer initializer weightfiller"},
    {"bias_init", "biasinitializer biasfiller"},
    {"activation", "act nonlinearity activationfn"},
    {"round_up ceil", "ceilmode ceil roundup"},
    {"count_padding", "countincludepad includepad"},
    {"rate", "p prob probability droprate dropprob keepprob"},
    {"epsilon", "eps"},
    {"momentum", "decay"},
    {"slope", "negativeslope alpha leak"},
    {"alpha", "a scale"},
    {"approximate", "tanh approx"},
    {"factor", "scalefactor scale"},
    {"mode", "interpolation method"},
    {"size", "outputsize localsize depthradius n targetsize"},
    {"n_fft", "fft fftlength fftsize framelength framesize"},
    {"hop", "hoplength hopsize framestep"},
    {"window_length", "winlength"},
    {"sample_rate", "sr samplerate fs"},
    {"low", "fmin"},
    {"high", "fmax"},
    {"axis axes", "dim dims"},
    {"axes axis", "dim dims"},
    {"order", "perm dims permutation"},
    {"begin", "start offset"},
    {"end", "stop"},
    {"deviation", "std stddev sigma"},
    {"ratio", "reduction squeezeratio reductionratio"},
    {"pieces", "poolsize k numpieces"},
    {"learning_rate", "lr rate eta baselr"},
    {"beta1", "beta1 betas b1"},
    {"beta2", "b2"},
    {"weight_decay", "l2 wd kernelregularizer regularization decay"},
    {"l1", "l1penalty l1regularization"},
    {"clip_norm", "clip clipnorm globalclipnorm maxgradnorm gradclip gradientclip maxnorm"},
    {"clip_value", "clipvalue"},
    {"rho", "alpha decay smoothing"},
    {"nesterov", "usenesterov"},
    {"damped", "dampening"},
    {"schedule", "lrschedule scheduler lrscheduler learningrateschedule"},
    {"label_smoothing", "smoothing labelsmooth"},
    {"class_weights", "weights classweight weight"},
    {"ignored", "ignoreindex ignorelabel ignore"},
    {"weight", "lossweight lambda coefficient"},
    {"label", "labels y target"},
    {"target", "targets labels y label"},
    {"positive_weight", "posweight"},
    {"squared", "power p"},
    {"gamma", "decayrate factor"},
    {"every", "stepsize decaysteps period t0"},
    {"growth", "tmult"},
    {"final", "etamin endlearningrate minlr"},
    {"end", "minlr etamin"},
    {"name", "id layername"},
};

constexpr Synonyms kCommands[] = {
    {"build", "compile make export"},
    {"show", "print dump draw visualize visualise plot inspect view"},
    {"summary", "info describe layers table plotmodel"},
    {"train", "fit learn run"},
    {"tune", "autotune optimize optimise search schedule"},
    {"ops", "operators operations oplist functions list"},
    {"records", "record database"},
    {"machine", "hardware cpu processor calibrate"},
    {"--batch", "batchsize bs minibatch b"},
    {"--infer-batch", "inferbatchsize inferencebatch testbatch"},
    {"--output", "out outdir outputdir dir o destination"},
    {"--threads", "numthreads nthreads cpus workers t"},
    {"--jobs", "parallel processes j"},
    {"--target", "arch march device backend isa"},
    {"--emit", "stage print"},
    {"--minutes", "time budget timeout"},
    {"--exact", "nowinograd strict precise"},
    {"--kernel", "kernelsize filter filtersize"},
    {"--window", "kernelsize poolsize kernel"},
    {"--stride", "strides"},
    {"--padding", "pad pads"},
    {"--dilation", "dilationrate rate"},
    {"--size", "input inputsize shape"},
    {"--layer", "node name"},
};

}  // namespace

std::span<const Synonyms> synonyms(Vocabulary vocabulary) {
    switch (vocabulary) {
        case Vocabulary::layers:
            return kLayers;
        case Vocabulary::options:
            return kOptions;
        case Vocabulary::commands:
            return kCommands;
    }
    return {};
}

std::span<const Composite> composites(Vocabulary vocabulary) {
    if (vocabulary == Vocabulary::layers) return kComposites;
    return {};
}

std::vector<std::string_view> words_of(std::string_view list) {
    std::vector<std::string_view> words;
    while (!list.empty()) {
        const size_t end = std::min(list.find(' '), list.size());
        words.push_back(list.substr(0, end));
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return words;
}

}  // namespace emulsion
