// CMA-ES (Hansen: The CMA evolution strategy: a tutorial, 2016) over the unit cube that the
// parameters' ranges are scaled to. Points outside are drawn again. A generation learns from the
// one before once all of its trials are finished.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/algorithm/container.h"
#include "eigen3/Eigen/Dense"
#include "mase/sampler/generation.h"

namespace mase {
namespace {

constexpr int kRedraws = 100;

// Where in [0, 1] a parameter's value lies: the inverse of AtUnit.
double ToUnit(const SearchParameter& p, double value) {
  const bool steps = p.size().has_value();
  const double half = steps ? p.step / 2 : 0;
  const auto scaled = [&](double x) { return p.log ? std::log(x) : x; };
  const double low = scaled(p.low - half), high = scaled(p.high + half);
  return high > low ? (scaled(value) - low) / (high - low) : 0.5;
}

class CmaesProposer final : public Proposer {
 public:
  explicit CmaesProposer(const SamplerSpec& spec)
      : spec_(spec), n_(static_cast<int>(spec.space.dimensions())) {
    lambda_ = spec_.settings.has_population_size()
                  ? spec_.settings.population_size()
                  : 4 + static_cast<int>(3 * std::log(static_cast<double>(n_)));
    Restart();
  }

  Point Propose(int64_t number, const TrialHistory& finished, absl::Span<const Trial>,
                Draws& draws) override {
    if (finished.id() != history_ || number / lambda_ < generation_) {
      history_ = finished.id();
      Restart();
    }
    while (generation_ < number / lambda_ && AllFinished(finished, (generation_ + 1) * lambda_)) {
      Learn(
          CompleteOf(TrialsBetween(finished, generation_ * lambda_, (generation_ + 1) * lambda_)));
      ++generation_;
    }
    Eigen::VectorXd x;
    for (int i = 0; i < kRedraws; ++i) {
      Eigen::VectorXd z(n_);
      for (double& value : z) value = draws.Normal();
      x = mean_ + sigma_ * (basis_ * (scales_.asDiagonal() * z));
      if (x.minCoeff() >= 0 && x.maxCoeff() <= 1) break;
    }
    Point point(n_);
    for (int i = 0; i < n_; ++i) {
      point[i] = AtUnit(spec_.space[i], std::clamp(x[i], 0.0, 1.0));
    }
    return point;
  }

 private:
  void Restart() {
    generation_ = 0;
    mean_ = Eigen::VectorXd::Constant(n_, 0.5);
    sigma_ = spec_.settings.sigma0();
    covariance_ = Eigen::MatrixXd::Identity(n_, n_);
    path_covariance_ = path_sigma_ = Eigen::VectorXd::Zero(n_);
    Decompose();
  }

  void Decompose() {
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance_);
    basis_ = solver.eigenvectors();
    scales_ = solver.eigenvalues().cwiseMax(1e-20).cwiseSqrt();
  }

  // The tutorial's update, with its defaults and its names.
  void Learn(std::vector<const Trial*> trials) {
    absl::c_stable_sort(trials, [&](const Trial* a, const Trial* b) {
      const double va = Violation(*a), vb = Violation(*b);
      if (va != vb) return va < vb;
      return Losses(*a, spec_.directions) < Losses(*b, spec_.directions);
    });
    const int mu = std::min<int>(lambda_ / 2, static_cast<int>(trials.size()));
    if (mu < 1) return;
    Eigen::VectorXd w(mu);
    for (int i = 0; i < mu; ++i) w[i] = std::log(mu + 0.5) - std::log(i + 1.0);
    w /= w.sum();
    const double n = n_, mu_eff = 1 / w.squaredNorm();
    const double c_sigma = (mu_eff + 2) / (n + mu_eff + 5);
    const double d_sigma = 1 + 2 * std::max(0.0, std::sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma;
    const double c_c = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n);
    const double c_1 = 2 / ((n + 1.3) * (n + 1.3) + mu_eff);
    const double c_mu =
        std::min(1 - c_1, 2 * (mu_eff - 2 + 1 / mu_eff) / ((n + 2) * (n + 2) + mu_eff));
    const double chi = std::sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));

    Eigen::MatrixXd y(n_, mu);
    for (int i = 0; i < mu; ++i) {
      for (int d = 0; d < n_; ++d) {
        y(d, i) = (ToUnit(spec_.space[d], trials[i]->point[d]) - mean_[d]) / sigma_;
      }
    }
    const Eigen::VectorXd step = y * w;
    mean_ += sigma_ * step;
    const Eigen::VectorXd white =
        basis_ * (scales_.cwiseInverse().asDiagonal() * (basis_.transpose() * step));
    path_sigma_ = (1 - c_sigma) * path_sigma_ + std::sqrt(c_sigma * (2 - c_sigma) * mu_eff) * white;
    const double decay =
        std::sqrt(1 - std::pow(1 - c_sigma, 2 * (static_cast<double>(generation_) + 1)));
    const bool slow = path_sigma_.norm() / decay < (1.4 + 2 / (n + 1)) * chi;
    path_covariance_ = (1 - c_c) * path_covariance_;
    if (slow) path_covariance_ += std::sqrt(c_c * (2 - c_c) * mu_eff) * step;
    const double lost = slow ? 0 : c_1 * c_c * (2 - c_c);
    covariance_ = (1 - c_1 - c_mu + lost) * covariance_ +
                  c_1 * path_covariance_ * path_covariance_.transpose() +
                  c_mu * y * w.asDiagonal() * y.transpose();
    sigma_ *= std::exp(c_sigma / d_sigma * (path_sigma_.norm() / chi - 1));
    sigma_ = std::clamp(sigma_, 1e-12, 10.0);
    Decompose();
  }

  const SamplerSpec spec_;
  const int n_;
  int64_t lambda_;
  uint64_t history_ = 0;
  int64_t generation_ = 0;  // All before it are learned from.
  Eigen::VectorXd mean_, path_covariance_, path_sigma_, scales_;
  Eigen::MatrixXd covariance_, basis_;
  double sigma_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Proposer>> MakeCmaes(const SamplerSpec& spec) {
  return std::make_unique<CmaesProposer>(spec);
}

}  // namespace mase
