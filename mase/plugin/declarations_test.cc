#include "mase/plugin/declarations.h"

#include "gtest/gtest.h"

namespace mase {
namespace {

constexpr char kHeader[] = R"(// What it is.
#ifndef A_H_
#define A_H_

struct A {
  int width;  // Bits.
  /* Any
     of them. */
  const char* name = "a // b";
};

#endif  // A_H_
)";

TEST(DeclarationsTest, CommentsBlankLinesAndLayoutDoNotCount) {
  constexpr char kSame[] = R"(#ifndef A_H_
#define A_H_
struct A
{
    int    width;

    const char *name="a // b";  // Other words.
};
#endif
)";
  EXPECT_EQ(DeclarationsOf(kHeader), DeclarationsOf(kSame));
  EXPECT_EQ(DeclarationsOf(kSame),
            "#ifndef A_H_\n#define A_H_\nstruct A{int width;const char*name=\"a // b\";};\n"
            "#endif\n");
}

TEST(DeclarationsTest, NamesTypesOrderAndLiteralsCount) {
  const std::string is = DeclarationsOf("struct A { int a; long b = 1; };");
  for (const char* other :
       {"struct A { int c; long b = 1; };", "struct A { long a; long b = 1; };",
        "struct A { long b = 1; int a; };", "struct A { int a; long b = 2; };",
        "struct B { int a; long b = 1; };", "struct A { inta; long b = 1; };"}) {
    EXPECT_NE(DeclarationsOf(other), is) << other;
  }
  EXPECT_NE(DeclarationsOf("char a[] = \"x  y\";"), DeclarationsOf("char a[] = \"x y\";"));
}

TEST(DeclarationsTest, LiteralsMayHoldWhatLooksLikeComments) {
  EXPECT_EQ(DeclarationsOf("auto a = R\"x(// \" no )x\"; // yes"), "auto a=R\"x(// \" no )x\";\n");
  EXPECT_EQ(DeclarationsOf("char a = '\"'; int b = 1'000; // c"), "char a='\"';int b=1'000;\n");
  EXPECT_EQ(DeclarationsOf("const char* a = \"\\\"//\";"), "const char*a=\"\\\"//\";\n");
}

}  // namespace
}  // namespace mase
