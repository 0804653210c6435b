#pragma once

#include "bitdiff/ar/beam_search.h"
#include "bitdiff/ar/next_token.h"
#include "bitdiff/ar/sample_token.h"
#include "bitdiff/ar/text_shape.h"
#include "bitdiff/base/options.h"
#include "bitdiff/base/random.h"

namespace bitdiff {

/// How a text is chosen from what a NextToken says.
enum class DecodeMethod {
  kSample,  ///< Each token drawn from its distribution.
  kGreedy,  ///< The most likely token, each time.
  kBeam,    ///< See beam_search.
};

struct DecodeOptions {
  DecodeMethod method = DecodeMethod::kSample;
  SampleTokenOptions sample = {};  ///< Used by kSample.
  BeamOptions beam = {};           ///< Used by kBeam.

  template <class Visitor>
  void visit(Visitor& v) {
    v.choice("method", method,
             Words<DecodeMethod>{{"sample", DecodeMethod::kSample},
                                 {"greedy", DecodeMethod::kGreedy},
                                 {"beam", DecodeMethod::kBeam}},
             "draw each token, take the most likely one, or search for a likely text");
    sample.visit(v);
    beam.visit(v);
  }
};

/// Texts from an autoregressive network, one a row of `streams`: int64 [B, text.length], see
/// TextShape. A row is a function of its stream in `streams` and its row of `cond` alone. Costs a
/// step of the network a token, until all texts have ended. Throws NumbersError when the network
/// answers with NaN.
Tensor ar_generate(const NextToken& net, const TextShape& text, const Condition& cond,
                   const DecodeOptions& options, const Streams& streams);

}  // namespace bitdiff
