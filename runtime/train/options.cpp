// See options.h. Numbers are taken as text and read by parse_count, because CLI11 reads them in the
// locale.
#include "runtime/train/options.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "runtime/abi/instance.h"
#include "runtime/data/checkpoint.h"
#include "runtime/data/synthetic.h"
#include "runtime/program/format.h"
#include "runtime/support/text.h"
#include "runtime/train/best.h"
#include "runtime/train/history.h"
#include "runtime/train/rate_test.h"
#include "runtime/train/run_data.h"

namespace emulsion {

namespace {

struct Numbers {
    std::string epochs, steps, learning_rate, momentum, cycle, decay, schedule, batch, seed,
        validation, threads, variant;
    std::string minutes, split, best, patience, keep, resume, log_every, top, ema;
    DataTexts data;
    DeviceOptions device;
};

void add_run_options(CLI::App& app, const emulsion_info& info, const NetworkDescription& network,
                     TrainOptions* options, Numbers* numbers) {
    app.add_option("--data", options->data, data_help())->type_name("NAME|PATH");
    app.add_option("--images", options->images,
                   "instead of --data: one file of pictures, IDX (plain or .gz) or .npy")
        ->type_name("FILE");
    app.add_option("--labels", options->labels, "their labels, IDX or .npy")->type_name("FILE");
    app.add_option("--epochs", numbers->epochs,
                   concat("passes over the data (", network.default_epochs, ")"))
        ->type_name("N");
    app.add_option("--steps", numbers->steps,
                   "length of the run in optimiser steps, instead of --epochs")
        ->type_name("N");
    app.add_option("--learning-rate", numbers->learning_rate,
                   concat("the optimizer's rate, the highest of most schedules (",
                          network.learning_rate, ")"))
        ->type_name("RATE");
    app.add_option("--cycle-momentum", numbers->cycle,
                   "with --schedule one_cycle or cyclic, the momentum falls from HIGH to LOW where "
                   "the rate rises, and rises where that falls, such as 0.85:0.95 (a model whose "
                   "optimizer is built with .adjustable = true; on the processor)")
        ->type_name("LOW:HIGH");
    app.add_option("--momentum", numbers->momentum,
                   "instead of the model's, where its optimizer is built with .adjustable = true")
        ->type_name("SHARE");
    app.add_option("--weight-decay", numbers->decay, "the same of the weight decay")
        ->type_name("FACTOR");
    app.add_option(
           "--schedule", numbers->schedule,
           concat("of the rate over the run: ", list_schedules(), " (", network.schedule, ")"))
        ->type_name("NAME");
    app.add_option("--rate-test", options->rate_test,
                   concat("no run, but a range test: ", kRateTestSteps,
                          " steps, or as many as --steps, with rates from a thousandth of the "
                          "rate to a thousand times it; the losses go to this file (CSV), as a "
                          "drawing to standard output, and as a picture to the page of --report"))
        ->type_name("FILE");
    app.add_option("--batch", numbers->batch,
                   concat("pictures of one step (", info.batch,
                          "); more than these are computed in parts, whose gradients make one "
                          "update: on a processor, where updates are apart"))
        ->type_name("N");
    app.add_option("--seed", numbers->seed,
                   "of initial weights, shuffling, split and augmentation (1)")
        ->type_name("N");
    app.add_option("--init", options->init,
                   "begin with the weights of this file (safetensors) that fit by name and shape, "
                   "and draw the others; names of torchvision are known for the networks of "
                   "examples/networks")
        ->type_name("FILE");
    app.add_option("--validation", numbers->validation,
                   "what to look at after every epoch: this share of the training pictures, which "
                   "is held out, `test`: the test part, or other data as --data takes them")
        ->type_name("FRACTION|test|PATH");
    app.add_option(
           "--split", numbers->split,
           "which pictures of each class are held out: random, by the seed, or leading, the "
           "first ones (random)")
        ->type_name("NAME");
    app.add_flag("--no-augment", options->no_augment,
                 "train on the pictures as they are, whatever the model's augmentation");
    app.add_flag("--boxes", options->boxes,
                 "the numbers that are trained towards are boxes: left, top, right and bottom, in "
                 "shares of the picture's width and height; what moves its pixels moves them, and "
                 "one that is hardly in the picture then is 0 0 0 0");
    app.add_option("--augment-preview", options->preview,
                   "no run, but a picture (PNG): a row for each of the first pictures of the run, "
                   "first as it is, then as the epochs have it")
        ->type_name("FILE");
    app.add_option("--augment-ablation", options->ablation,
                   "no run that is kept, but one without augmentation, one with each part of it "
                   "alone, one with all; what the last validation of each finds goes to this file "
                   "(CSV) and as a table to standard output")
        ->type_name("FILE");
    app.add_option("--ema", numbers->ema,
                   "validate, test and write an exponential moving average of the weights with "
                   "this decay, such as 0.999 (on the processor)")
        ->type_name("DECAY");
    app.add_option("--top", numbers->top,
                   "validation and test also count the pictures whose class is among the K best")
        ->type_name("K");
    app.add_flag("--confusion", options->confusion,
                 "the test shows recall and precision of each class, and which is taken for which; "
                 "JSON has that of each validation, too");
    app.add_option("--threads", numbers->threads,
                   "worker threads (all CPUs this process may use); results do not depend on it")
        ->type_name("N");
    app.add_option("--variant", numbers->variant, "instruction set instead of the best")
        ->type_name("NAME");
    add_device_options(app, info, &numbers->device);
    add_data_options(app, &numbers->data);
}

void add_output_options(CLI::App& app, TrainOptions* options, Numbers* numbers) {
    const char* keep = "What is kept";
    app.add_option("--checkpoint", options->checkpoint,
                   "folder of the run: a checkpoint and the weights after every epoch")
        ->type_name("FOLDER")
        ->group(keep);
    app.add_option("--checkpoint-minutes", numbers->minutes,
                   "a checkpoint within an epoch, so often (10; 0: none)")
        ->type_name("MINUTES")
        ->group(keep);
    app.add_flag(
           "--resume", numbers->resume,
           "continue the run of --checkpoint with its settings; --epochs or --steps may change "
           "its length, and with it the rates that a cosine schedule still has to come; --device "
           "may be another, which rounds in its own way; --resume=auto begins one where the folder "
           "holds none")
        ->group(keep);
    app.add_flag("--overwrite", options->overwrite,
                 "begin anew in a folder that holds a run: its weights are removed")
        ->group(keep);
    app.add_option("--weights", options->weights,
                   "where the trained weights go (CHECKPOINT/weights.safetensors)")
        ->type_name("FILE")
        ->group(keep);
    app.add_option("--best", numbers->best,
                   "what makes an epoch's validation the best: its weights are kept as "
                   "CHECKPOINT/weights-best.safetensors: loss, accuracy, top (of --top), recall "
                   "or iou, means over the classes (loss, where the network gives probabilities, "
                   "else accuracy)")
        ->type_name("METRIC")
        ->group(keep);
    app.add_option("--patience", numbers->patience,
                   "end after so many epochs without a better one; the best one's weights are the "
                   "result then, and where the epochs run out, too")
        ->type_name("EPOCHS")
        ->group(keep);
    app.add_option("--keep", numbers->keep,
                   "keep the weights of the last N epochs, CHECKPOINT/weights-epoch-E.safetensors")
        ->type_name("N")
        ->group(keep);
    const char* output = "Output";
    app.add_flag("--dry-run", options->dry_run,
                 "load the data, print settings, rates and memory, and end")
        ->group(output);
    app.add_option("--history", options->history,
                   "print the epochs of the run in this folder, with curves of loss and accuracy, "
                   "and end; with --csv as CSV, with --json as JSON")
        ->type_name("FOLDER")
        ->group(output);
    app.add_flag("--csv", options->csv, "the epochs of --history as CSV")->group(output);
    app.add_option(
           "--report", options->report,
           "a page of HTML of the run, or of that of --history: curves, classes (counted as "
           "by --confusion), layers, memory, filters and the surest mistakes, and with "
           "--profile the times of the layers")
        ->type_name("FILE")
        ->group(output);
    app.add_option("--tensorboard", options->tensorboard,
                   "event files for TensorBoard: loss, accuracy, rate and speed, histograms of the "
                   "weights, the first filters, the surest mistakes and the graph of layers; a "
                   "resumed run adds to them")
        ->type_name("FOLDER")
        ->group(output);
    app.add_option("--log-every", numbers->log_every,
                   "a line of progress every N steps, or every N minutes: 100, 5m")
        ->type_name("N|Nm")
        ->group(output);
    app.add_flag("--json", options->json, "results as one JSON object a line")->group(output);
    app.add_flag("--quiet", options->quiet, "results and errors only")->group(output);
    app.add_flag("--no-progress", options->no_progress, "no progress bar")->group(output);
    add_profile_option(app, &options->profile)->group(output);
    add_trace_option(app, &options->trace)->group(output);
}

// "100": steps; "5m": minutes.
void read_log_every(const std::string& text, TrainOptions* options) {
    if (text.empty()) return;
    if (text.ends_with('m')) {
        options->line_minutes =
            parse_number("--log-every", text.substr(0, text.size() - 1), 0.001, 1e6);
    } else {
        options->line_steps = parse_count("--log-every", text, 1, kMostSteps);
    }
}

// A flag without a value is "true".
Resume read_resume(const std::string& text) {
    if (text == "auto") return Resume::kAuto;
    if (text == "true" || text.empty()) return text.empty() ? Resume::kNo : Resume::kYes;
    throw UsageError("--resume", concat("there is no way ", quoted(text)),
                     "give --resume or --resume=auto");
}

// "0.85:0.95".
void read_cycle(const std::string& text, TrainOptions* options) {
    const size_t colon = text.find(':');
    if (colon == text.npos) {
        throw UsageError("--cycle-momentum", concat(quoted(text), " is no pair LOW:HIGH"),
                         "for example --cycle-momentum 0.85:0.95");
    }
    const double low = parse_number("--cycle-momentum", text.substr(0, colon), 0.0, 1.0);
    const double high = parse_number("--cycle-momentum", text.substr(colon + 1), 0.0, 1.0);
    if (low > high) {
        throw UsageError("--cycle-momentum", concat("is ", low, " to ", high, ", which falls"),
                         "write the lower one first");
    }
    if (options->momentum || !options->rate_test.empty()) {
        throw UsageError(
            "--cycle-momentum",
            concat("cannot be combined with ", options->momentum ? "--momentum" : "--rate-test"),
            "leave one of the two out");
    }
    options->lowest_momentum = low;
    options->highest_momentum = high;
}

void read_numbers(const Numbers& numbers, const emulsion_info& info, TrainOptions* options) {
    options->resume = read_resume(numbers.resume);
    read_log_every(numbers.log_every, options);
    if (!numbers.epochs.empty())
        options->epochs = parse_count("--epochs", numbers.epochs, 1, kMostEpochs);
    if (!numbers.steps.empty())
        options->steps = parse_count("--steps", numbers.steps, 1, kMostSteps);
    if (!numbers.learning_rate.empty()) {
        options->learning_rate =
            parse_number("--learning-rate", numbers.learning_rate, 0.0, kMostRate);
    }
    if (!numbers.momentum.empty())
        options->momentum = parse_number("--momentum", numbers.momentum, 0.0, 1.0);
    if (!numbers.cycle.empty()) read_cycle(numbers.cycle, options);
    if (!numbers.decay.empty())
        options->weight_decay =
            parse_number("--weight-decay", numbers.decay, 0.0, kMostWeightDecay);
    if (!numbers.schedule.empty()) {
        options->schedule = find_schedule(numbers.schedule);
        if (!options->schedule) {
            throw UsageError("--schedule",
                             concat("there is no schedule ", quoted(numbers.schedule)),
                             concat("choose ", list_schedules()));
        }
    }
    if (!numbers.seed.empty()) {
        options->seed = static_cast<uint64_t>(parse_count("--seed", numbers.seed, 0, INT64_MAX));
    }
    options->threads =
        numbers.threads.empty()
            ? emulsion_cpu_count()
            : static_cast<int>(parse_count("--threads", numbers.threads, 1, EMULSION_MAX_THREADS));
    options->variant = find_variant(info, numbers.variant);
    if (!numbers.minutes.empty()) {
        options->checkpoint_minutes =
            parse_number("--checkpoint-minutes", numbers.minutes, 0.0, 1e6);
    }
    if (!numbers.best.empty()) {
        if (!is_metric(numbers.best)) {
            throw UsageError("--best", concat("there is no metric ", quoted(numbers.best)),
                             concat("choose ", kMetricNames));
        }
        options->best = numbers.best;
    }
    if (!numbers.ema.empty()) {
        options->ema = parse_number("--ema", numbers.ema, 0.001, kMostDecay);
    }
    if (!numbers.top.empty())
        options->top = static_cast<int>(parse_count("--top", numbers.top, 1, kMostTop));
    if (!numbers.patience.empty())
        options->patience = parse_count("--patience", numbers.patience, 1, kMostEpochs);
    if (!numbers.keep.empty()) options->keep = parse_count("--keep", numbers.keep, 0, kMostEpochs);
    read_option([&] { synthetic_count(options->data); });
    if (!numbers.validation.empty()) {
        read_option([&] { validation_kind(numbers.validation, "--validation"); });
        options->validation = numbers.validation;
    }
    if (!numbers.split.empty()) {
        if (numbers.split != kRandomSplit && numbers.split != kLeadingSplit) {
            throw UsageError("--split", concat(quoted(numbers.split), " is no way to split"),
                             "choose random or leading");
        }
        options->split = numbers.split;
    }
    options->reading = read_data_options(numbers.data);
}

// What draws or compares augmentations keeps nothing else.
void check_augmentation(const TrainOptions& options) {
    const bool draws = !options.preview.empty();
    if (!draws && options.ablation.empty()) return;
    const char* mode = draws ? "--augment-preview" : "--augment-ablation";
    for (const auto& [is_given, option] :
         {std::pair{draws && !options.ablation.empty(), "--augment-ablation"},
          std::pair{!options.rate_test.empty(), "--rate-test"},
          std::pair{!options.checkpoint.empty(), "--checkpoint"},
          std::pair{!options.weights.empty(), "--weights"},
          std::pair{options.ema.has_value(), "--ema"},
          std::pair{!options.profile.empty(), "--profile"},
          std::pair{!options.trace.empty(), "--trace"}, std::pair{options.dry_run, "--dry-run"},
          std::pair{options.no_augment, "--no-augment"}}) {
        if (!is_given) continue;
        throw UsageError(option, concat("cannot be combined with ", mode),
                         "leave one of the two out");
    }
    if (!draws && !options.validation) {
        throw UsageError("--augment-ablation", "needs a validation to compare by",
                         "add --validation, such as --validation 0.1");
    }
}

void check_combination(const TrainOptions& options) {
    if (options.epochs && options.steps) {
        throw UsageError("--steps", "cannot be combined with --epochs",
                         "give one length of the run");
    }
    const bool may_resume = options.resume != Resume::kNo;
    if (may_resume && options.checkpoint.empty()) {
        throw UsageError("--resume", "needs the folder of the run", "add --checkpoint FOLDER");
    }
    if (options.overwrite && !may_resume && options.checkpoint.empty()) {
        throw UsageError("--overwrite", "needs the folder of the run", "add --checkpoint FOLDER");
    }
    const std::pair<const char*, bool> of_folders[] = {
        {"--checkpoint-minutes", options.checkpoint_minutes.has_value()},
        {"--best", options.best.has_value()},
        {"--patience", options.patience.has_value()},
        {"--keep", options.keep.has_value()}};
    for (const auto& [option, is_given] : of_folders) {
        if (is_given && options.checkpoint.empty())
            throw UsageError(option, "needs the folder of the run", "add --checkpoint FOLDER");
    }
    check_augmentation(options);
    if (!options.rate_test.empty()) {
        for (const auto& [is_given, option] :
             {std::pair{!options.checkpoint.empty(), "--checkpoint"},
              std::pair{!options.weights.empty(), "--weights"},
              std::pair{!options.tensorboard.empty(), "--tensorboard"},
              std::pair{options.epochs.has_value(), "--epochs"},
              std::pair{options.dry_run, "--dry-run"}}) {
            if (!is_given) continue;
            throw UsageError(option, "cannot be combined with --rate-test, which keeps nothing",
                             "leave one of the two out");
        }
        if (options.steps && *options.steps < 2)
            throw UsageError("--steps", "is 1, but a range test needs several", "give 2 or more");
    }
    if (options.resume == Resume::kYes && !options.init.empty()) {
        throw UsageError("--init",
                         "cannot be combined with --resume, which goes on with the "
                         "weights of the checkpoint",
                         "give one of the two, or --resume=auto");
    }
    if (may_resume && options.overwrite) {
        throw UsageError("--overwrite", "cannot be combined with --resume", "give one of the two");
    }
    if (!options.data.empty() && !options.images.empty()) {
        throw UsageError("--images", "cannot be combined with --data",
                         "give one source of pictures");
    }
    if (options.images.empty() && !options.labels.empty()) {
        throw UsageError("--images", "is missing", "give both files, --images FILE --labels FILE");
    }
    const bool holds_out =
        options.validation &&
        validation_kind(*options.validation, "--validation") == ValidationKind::kShare;
    if (options.split && !holds_out && !may_resume) {
        throw UsageError("--split", "needs a share that is held out",
                         "add --validation, such as --validation 0.1, or leave it out");
    }
    if (options.csv) {
        throw UsageError("--csv", "is for --history",
                         "add --history FOLDER; a run with --checkpoint writes a log.csv itself");
    }
    if (options.data.empty() && options.images.empty() && !may_resume) refuse_missing_data(options);
}

}  // namespace

void refuse_missing_data(const TrainOptions& options) {
    throw UsageError("--data", "is missing",
                     concat(options.program, " --data fashion-mnist, or a folder of pictures"));
}

CommandLineResult parse_train_options(int argc, const char* const* argv,
                                      const emulsion_train_library& library,
                                      const NetworkDescription& network, TrainOptions* options) {
    const emulsion_info& info = *library.info();
    options->program = program_name(argc, argv, concat(info.network, "-train"));
    options->command.assign(argv, argv + argc);
    CLI::App app(concat("Trains the network '", info.network, "'."), options->program);
    Numbers numbers;
    add_run_options(app, info, network, options, &numbers);
    add_output_options(app, options, &numbers);
    const std::string version =
        concat(options->program, " ", info.version, " (", info.signature, ")");
    app.set_version_flag("--version", version, "print the version and the network's signature");
    app.footer(
        "Ctrl-C (or SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU) saves the checkpoint and stops;\n"
        "another Ctrl-C or SIGTERM, a second or more later, stops at once.\n"
        "Exit codes: 0 done, 1 failed, 2 wrong usage; 130 stopped by Ctrl-C, 143 by SIGTERM,\n"
        "128 + N by signal N.\n"
        "Results go to standard output, everything else to standard error. Where standard output\n"
        "breaks, training goes on to its end, and the exit code is 1.");
    if (parse_command_line(app, argc, argv, version) == CommandLineResult::kShown) {
        return CommandLineResult::kShown;
    }
    if (numbers.device.lists) {
        print_results(list_devices(info, library.device, options->json));
        return CommandLineResult::kShown;
    }
    if (!options->history.empty()) {
        print_history(*options, library, network);
        return CommandLineResult::kShown;
    }
    read_numbers(numbers, info, options);
    check_combination(*options);
    options->device = find_device(info, library.device, numbers.device.wanted);
    check_variant(options->device, options->variant);
    if (!numbers.batch.empty()) {
        options->batch = static_cast<int>(
            parse_count("--batch", numbers.batch, 1, largest_batch(library, options->device)));
    }
    return CommandLineResult::kRun;
}

}  // namespace emulsion
