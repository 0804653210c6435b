#pragma once

#include <string>

#include "bitdiff/data/dataset.h"
#include "bitdiff/model/model.h"

namespace bitdiff {

// What a checkpoint's weights mean depends on more than their names and shapes. `where` names the
// checkpoint in errors.

/// Throws UsageError, naming the first difference, unless examples of `now` are of the kind of
/// `trained`, those the checkpoint was trained on: shapes, categories, classes, colours, and what
/// they describe. Of tokenizers only the sizes are compared.
void check_same_data(const std::string& where, const DataInfo& trained, const DataInfo& now);

/// Throws UsageError, naming the first difference, unless a model of `now` is one of `trained`, but
/// for what only training looks at: dropout, self_cond_rate, label_dropout, pad_weight, whether
/// activations are kept, and where an encoder began.
void check_same_model(const std::string& where, const ModelOptions& trained,
                      const ModelOptions& now, bool describes_images);

}  // namespace bitdiff
