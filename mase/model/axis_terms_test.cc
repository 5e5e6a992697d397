#include "mase/model/axis_terms.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Term = AxisTerms::Term;

// A term's sizes when it has so many channels.
AxisTerms::Sizes SizesFor(const AxisTerms& terms, Term term, int64_t channels) {
  AxisTerms::Sizes sizes = terms.sizes();
  EXPECT_OK(terms.Set(term, channels, sizes));
  EXPECT_EQ(terms.SizeOf(term, sizes), channels);
  return sizes;
}

TEST(AxisTermsTest, VariablesThatMeetAreOne) {
  AxisTerms terms;
  const Term a = terms.Variable(8), b = terms.Variable(8), c = terms.Variable(8);
  terms.Unify(a, b, "first");
  terms.Unify(b, c, "second");
  EXPECT_EQ(terms.SizeOf(c, SizesFor(terms, a, 12)), 12);
  EXPECT_TRUE(terms.Share(a, c));
  EXPECT_EQ(terms.MeetingOf(a, b), "first");
  EXPECT_EQ(terms.MeetingOf(a, c), "second");
}

TEST(AxisTermsTest, WhatMeetsANumberIsFixedWithItsReason) {
  AxisTerms terms;
  const Term a = terms.Variable(8), b = terms.Variable(8), c = terms.Variable(8);
  terms.Unify(a, terms.Number(8), "add");
  EXPECT_TRUE(terms.is_fixed(a));
  EXPECT_EQ(terms.ReasonOf(a), "'add' reads them beside 8 that cannot change");
  terms.Fix(b, "they are results");
  terms.Unify(b, c, "mul");
  AxisTerms::Sizes sizes = terms.sizes();
  EXPECT_THAT(terms.Set(c, 9, sizes),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("they are results")));
  EXPECT_OK(terms.Set(c, 8, sizes));
}

TEST(AxisTermsTest, JoinedTermsGrowAlikeAndKeepTheirPlaces) {
  AxisTerms terms;
  const Term a = terms.Variable(1), b = terms.Variable(2), all = terms.Variable(3);
  terms.Unify(all, terms.Joined({a, b}), "add");
  const AxisTerms::Sizes sizes = SizesFor(terms, all, 6);
  EXPECT_THAT(terms.Match(all, terms.sizes(), sizes), ElementsAre(0, -1, 1, 2, -1, -1));
  EXPECT_THAT(terms.Match(all, sizes, terms.sizes()), ElementsAre(0, 2, 3));
  AxisTerms::Sizes other = terms.sizes();
  EXPECT_THAT(terms.Set(all, 7, other), StatusIs(absl::StatusCode::kInvalidArgument,
                                                 HasSubstr("cannot grow alike to that many")));
}

TEST(AxisTermsTest, NumbersThatAreJoinedStay) {
  AxisTerms terms;
  const Term a = terms.Variable(2);
  const Term padded = terms.Joined({terms.Number(1), a, terms.Number(1)});
  const AxisTerms::Sizes sizes = SizesFor(terms, padded, 5);
  EXPECT_EQ(terms.SizeOf(a, sizes), 3);
  EXPECT_THAT(terms.Match(padded, terms.sizes(), sizes), ElementsAre(0, 1, 2, -1, 3));
}

TEST(AxisTermsTest, ProductsKeepTheirNumbersAndRefuseWhatDoesNotDivide) {
  AxisTerms terms;
  const Term a = terms.Variable(2);
  const Term flat = terms.Product({a, terms.Number(2)}), grouped = terms.Variable(4);
  EXPECT_THAT(terms.Match(flat, terms.sizes(), SizesFor(terms, flat, 6)),
              ElementsAre(0, 1, 2, 3, -1, -1));
  const Term group = terms.Variable(2);
  terms.Unify(grouped, terms.Product({terms.Number(2), group}), "conv");
  EXPECT_THAT(terms.Match(grouped, terms.sizes(), SizesFor(terms, grouped, 6)),
              ElementsAre(0, 1, -1, 2, 3, -1));
  AxisTerms::Sizes sizes = terms.sizes();
  EXPECT_THAT(terms.Set(grouped, 7, sizes),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("they come in groups, of which there are 2")));
}

TEST(AxisTermsTest, WhatIsCutInDifferentWaysIsFixed) {
  AxisTerms terms;
  const Term a = terms.Variable(2), b = terms.Variable(4), c = terms.Variable(4);
  const Term x = terms.Joined({a, b}), y = terms.Joined({c, terms.Variable(2)});
  terms.Unify(x, y, "add");
  for (const Term term : {a, b, c, x, y}) EXPECT_TRUE(terms.is_fixed(term));
  // Nor can an axis be a part of itself.
  const Term d = terms.Variable(1);
  terms.Unify(d, terms.Product({d, terms.Number(1)}), "mul");
  EXPECT_TRUE(terms.is_fixed(d));
}

TEST(AxisTermsTest, SizesFollowFromThoseOfTerms) {
  AxisTerms terms;
  const Term a = terms.Variable(2), b = terms.Variable(3);
  const Term joined = terms.Joined({a, b}), flat = terms.Product({joined, terms.Number(4)});
  AxisTerms::Sizes sizes(terms.sizes().size(), 0);
  terms.Solve(flat, 40, sizes);  // Two are not known.
  EXPECT_EQ(terms.SizeOf(a, sizes), 0);
  terms.Solve(a, 7, sizes);
  terms.Solve(flat, 40, sizes);
  EXPECT_EQ(terms.SizeOf(b, sizes), 3);
}

TEST(AxisTermsTest, EndlessJoinsAreFixed) {
  AxisTerms terms;
  const Term a = terms.Variable(1);
  Term all = a;
  for (int i = 0; i < 50; ++i) all = terms.Joined({all, all});
  EXPECT_TRUE(terms.is_fixed(a));
  EXPECT_EQ(terms.SizeOf(all), int64_t{1} << 50);
}

}  // namespace
}  // namespace mase
