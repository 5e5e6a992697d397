/* d3, above: Copyright 2010-2022 Mike Bostock. All rights reserved. Redistribution and use in source and binary forms,
with or without modification, are permitted provided that the following conditions are met: Redistributions of source
code must retain the above copyright notice, this list of conditions and the following disclaimer. Redistributions in
binary form must reproduce the above copyright notice, this list of conditions and the following disclaimer in the
documentation and/or other materials provided with the distribution. Neither the name of the author nor the names of
contributors may be used to endorse or promote products derived from this software without specific prior written
permission. THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED
WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR
PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT,
INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS
OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY,
WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF
THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE. */
"use strict";
// Makes tables sortable and filterable and draws the plots anew, so that they answer to the pointer. Everything is
// there without it, too.
(function () {
  const number = (text) => {
    const plain = text.replace(/,/g, "");
    return plain !== "" && isFinite(plain) ? Number(plain) : null;
  };
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const x = number(a), y = number(b);
    return x !== null && y !== null ? d3.ascending(x, y) : d3.ascending(a, b);
  };

  d3.selectAll("table.data").each(function () {
    const table = d3.select(this), body = table.select("tbody").node();
    table.selectAll("thead th").each(function (unused, column) {
      const head = d3.select(this), name = head.text();
      head.text("").append("button").attr("type", "button").attr("title", "Sort by " + name).text(name)
        .on("click", () => {
          const down = head.attr("aria-sort") === "ascending";
          table.selectAll("thead th").attr("aria-sort", null);
          head.attr("aria-sort", down ? "descending" : "ascending");
          const cell = (row) => row.cells[column].textContent;
          const rows = Array.from(body.rows).sort((a, b) => {
            const order = compare(cell(a), cell(b));
            return down && cell(a) !== "" && cell(b) !== "" ? -order : order;
          });
          rows.forEach((row) => body.appendChild(row));
        });
    });
    if (body.rows.length < 8) return;
    const label = d3.select(this.parentNode.parentNode).insert("label", "div.scroll").attr("class", "filter");
    label.append("span").text("Show rows with ");
    label.append("input").attr("type", "search").on("input", function () {
      const wanted = this.value.toLowerCase();
      Array.from(body.rows).forEach((row) => {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
      });
    });
  });

  const plots = JSON.parse(document.getElementById("plots").textContent);
  const colour = (i) => "var(--c" + (i % 6) + ")";
  d3.selectAll("figure.plot").each(function () {
    const plot = plots[this.dataset.plot], figure = d3.select(this);
    const width = 480, height = 300, left = 56, right = 12, top = 30 + 15 * Math.ceil(plot.curves.length / 2), bottom = 42;
    const points = d3.merge(plot.curves.map((curve) => curve.points)).filter((p) => p[1] !== null);
    if (points.length === 0) return;
    const padded = (extent) => extent[0] === extent[1] ? [extent[0] - 0.5, extent[1] + 0.5] : extent;
    const x = d3.scaleLinear(padded(d3.extent(points, (p) => p[0])), [left, width - right]);
    const y = d3.scaleLinear(padded(d3.extent(points, (p) => p[1])), [height - bottom, top]).nice();
    figure.select("svg").remove();
    const svg = figure.insert("svg", "figcaption").attr("class", "drawn").attr("viewBox", `0 0 ${width} ${height}`)
      .attr("role", "img").attr("aria-label", plot.title);
    svg.append("text").attr("x", width / 2).attr("y", 16).attr("text-anchor", "middle").style("font-weight", 600).text(plot.title);
    const below = d3.axisBottom(x).ticks(6);
    if (plot.whole) below.tickValues(x.ticks(6).filter(Number.isInteger)).tickFormat(d3.format("d"));
    svg.append("g").attr("transform", `translate(0,${height - bottom})`).call(below);
    svg.append("g").attr("transform", `translate(${left},0)`).call(d3.axisLeft(y).ticks(6));
    svg.append("text").attr("x", width / 2).attr("y", height - 8).attr("text-anchor", "middle").text(plot.x);
    svg.append("text").attr("transform", `translate(13,${height / 2}) rotate(-90)`).attr("text-anchor", "middle").text(plot.y);
    const line = d3.line().defined((p) => p[1] !== null).x((p) => x(p[0])).y((p) => y(p[1]))
      .curve(plot.steps ? d3.curveStepAfter : d3.curveLinear);
    plot.curves.forEach((curve, i) => {
      if (!curve.dots) {
        svg.append("path").attr("fill", "none").attr("stroke", colour(i)).attr("stroke-width", 2)
          .attr("stroke-dasharray", i % 2 ? "5 2" : null).attr("d", line(curve.points));
      }
      const key = svg.append("g").attr("transform", `translate(${left + (i % 2) * 210},${32 + 15 * Math.floor(i / 2)})`);
      key.append("line").attr("x2", 18).attr("y1", -4).attr("y2", -4).attr("stroke", colour(i)).attr("stroke-width", 2)
        .attr("stroke-dasharray", i % 2 ? "5 2" : null);
      key.append("text").attr("x", 22).text(curve.name);
      if (plot.steps || (!curve.dots && curve.points.length > 400)) return;
      svg.selectAll(null).data(curve.points.filter((p) => p[1] !== null)).enter().append("circle")
        .attr("r", 3).attr("fill", colour(i)).attr("cx", (p) => x(p[0])).attr("cy", (p) => y(p[1]))
        .append("title").text((p) => `${curve.name}, ${plot.x} ${p[0]}: ${d3.format(".6~g")(p[1])}`);
    });
  });
})();
