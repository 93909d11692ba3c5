// Kim's classifier of sentences: words as vectors, filters over three, four and five words in a
// row, of each the largest value anywhere in the sentence. Of the two tables of vectors one stays
// as it is (word2vec's, from a file of weights) and one is trained; a filter reads both alike, so
// their vectors are added. Settings: words (of a sentence), vocabulary, width, classes.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int words = settings.integer("words", 53);
    const int vocabulary = settings.integer("vocabulary", 18765);
    const int width = settings.integer("width", 300);

    Model m("kim_sentences");
    Tensor index = m.indices("words", {words});
    const auto vectors = [&](const std::string& name) {
        return embedding(index, vocabulary, width,
                         {.padding_index = 0, .init = Init::uniform(0.25), .name = name});
    };
    Tensor x = vectors("fixed") + vectors("tuned");  // (width, words)
    m.freeze("fixed");
    std::vector<Tensor> largest;
    for (int length : {3, 4, 5})
        largest.push_back(global_max_pool(relu(conv(x, 100, {.kernel = length}))));
    m.classify(dense(dropout(concatenate(largest)), settings.integer("classes", 2)));
    m.optimizer(adadelta({.rho = 0.95}));
    return compile(m, settings);
}
