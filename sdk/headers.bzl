"""What third parties may include: the one list. //sdk:closure_test sees to it that these headers
include nothing of ours but each other, so that nothing of exec, kernels or command line leaks."""

# Targets that have them.
SDK_ROOMS = [
    "//mase/base:mix64",
    "//mase/base:status",
    "//mase/base:table",
    "//mase/data:data_reader",
    "//mase/format",
    "//mase/graph",
    "//mase/graph:ops",
    "//mase/metric",
    "//mase/pass",
    "//mase/sampler:proposer",
    "//mase/tensor",
    "//proto:format_cc_proto",
    "//proto:graph_cc_proto",
    "//proto:metadata_cc_proto",
    "//proto:options_cc_proto",
    "//proto:quantize_cc_proto",
    "//proto:sampler_cc_proto",
]

SDK_HEADERS = [
    "mase/base/mix64.h",
    "mase/base/status.h",
    "mase/base/status_macros.h",
    "mase/base/table.h",
    "mase/data/data_reader.h",
    "mase/format/family.h",
    "mase/format/format.h",
    "mase/format/format_text.h",
    "mase/graph/attribute.h",
    "mase/graph/graph.h",
    "mase/graph/graph_diff.h",
    "mase/graph/graph_hash.h",
    "mase/graph/graph_io.h",
    "mase/graph/graph_text.h",
    "mase/graph/op_function.h",
    "mase/graph/op_schema.h",
    "mase/graph/operands.h",
    "mase/graph/ops.h",
    "mase/graph/shape_inference.h",
    "mase/graph/verifier.h",
    "mase/metric/evaluation.h",
    "mase/metric/metric.h",
    "mase/pass/common_metadata.h",
    "mase/pass/node_meta_param.h",
    "mase/pass/pass.h",
    "mase/pass/pass_context.h",
    "mase/pass/pass_host.h",
    "mase/pass/pass_registry.h",
    "mase/sampler/draws.h",
    "mase/sampler/parameter.h",
    "mase/sampler/proposer.h",
    "mase/sampler/trial.h",
    "mase/tensor/shape.h",
    "mase/tensor/tensor.h",
    "proto/format.pb.h",
    "proto/graph.pb.h",
    "proto/metadata.pb.h",
    "proto/options.pb.h",
    "proto/quantize.pb.h",
    "proto/sampler.pb.h",
]

# These decide whether host and plugin talk, so they are not part of what they agree on: their
# layout has a version of its own (plugin_info.h).
SDK_HANDSHAKE_HEADERS = [
    "mase/plugin/api_hash.h",
    "mase/plugin/plugin.h",
    "mase/plugin/plugin_info.h",
]
