//! Lines over axes, as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 34.0;
/// Points of one line that are drawn: more than the plot has pixels show nothing.
const POINTS: usize = 800;
const COLOURS: [&str; 10] = [
    "#0969da", "#bc4c00", "#1a7f37", "#8250df", "#cf222e", "#9a6700", "#0598bc", "#6639ba", "#57606a",
    "#bf3989",
];

/// One line.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// Lines that share their axes.
pub(super) struct Plot {
    title: &'static str,
    unit: &'static str,
    lines: Vec<Line>,
    /// The range of the values, where it is known beforehand.
    range: Option<(f64, f64)>,
}

impl Plot {
    pub(super) fn new(title: &'static str, unit: &'static str, lines: Vec<Line>) -> Self {
        Self { title, unit, lines, range: None }
    }

    pub(super) fn within(self, least: f64, most: f64) -> Self {
        Self { range: Some((least, most)), ..self }
    }

    pub(super) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let right = points().map(|(x, _)| *x).fold(0.0, f64::max).max(1e-9);
        let (bottom, top) =
            self.range.unwrap_or((0.0, points().map(|(_, y)| *y).fold(0.0, f64::max).max(1e-9)));
        let x = |x: f64| LEFT + x / right * (WIDTH - LEFT - RIGHT);
        let y = |y: f64| HEIGHT - BOTTOM - (y - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<figure><figcaption>{}</figcaption><svg width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            self.title, self.title
        );
        for i in 0..=4 {
            let (value, along) = (bottom + (top - bottom) * f64::from(i) / 4.0, right * f64::from(i) / 4.0);
            let (at, foot, across) = (y(value), HEIGHT - BOTTOM, x(along));
            let _ = write!(
                svg,
                "<path d=\"M{LEFT} {at:.1}H{}\" stroke=\"#d8dee4\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 5.0,
                at + 4.0,
                tick(value)
            );
            let _ = write!(
                svg,
                "<text x=\"{across:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                foot + 14.0,
                tick(along)
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            HEIGHT - 6.0,
            self.unit
        );
        for (line, colour) in self.lines.iter().zip(COLOURS) {
            let step = line.points.len().div_ceil(POINTS).max(1);
            let path: Vec<String> = line
                .points
                .iter()
                .step_by(step)
                .map(|(px, py)| format!("{:.1} {:.1}", x(*px), y(*py)))
                .collect();
            if !path.is_empty() {
                let _ = write!(
                    svg,
                    "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\"><title>{}</title></path>",
                    path.join("L"),
                    line.name
                );
            }
        }
        svg.push_str("</svg>");
        self.legend(&mut svg);
        svg.push_str("</figure>");
        svg
    }

    fn legend(&self, svg: &mut String) {
        if self.lines.len() < 2 {
            return;
        }
        svg.push_str("<div>");
        for (line, colour) in self.lines.iter().zip(COLOURS) {
            let _ = write!(svg, "<small style=\"color:{colour}\">{} </small>", line.name);
        }
        svg.push_str("</div>");
    }
}

/// A number at an axis, short.
fn tick(x: f64) -> String {
    match x.abs() {
        size if size >= 1e6 => format!("{:.1}M", x / 1e6),
        size if size >= 1e4 => format!("{:.0}k", x / 1e3),
        size if size >= 10.0 || x == x.trunc() => format!("{x:.0}"),
        _ => format!("{x:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_without_points_is_still_one() {
        let empty = Plot::new("nothing", "minutes", vec![Line { name: "x".into(), points: vec![] }]);
        assert!(empty.svg().contains("nothing") && !empty.svg().contains("NaN"));
    }

    #[test]
    fn ticks_are_short() {
        assert_eq!([0.0, 0.25, 12.5, 25_000.0, 2e6].map(tick), ["0", "0.25", "12", "25k", "2.0M"]);
    }
}
