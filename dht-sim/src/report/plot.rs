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

impl Line {
    fn draw(&self, svg: &mut String, colour: &str, along: &Axis, up: &Axis) {
        let place = |(x, y): &(f64, f64)| (along.place(*x), up.place(*y));
        let name = &self.name;
        // A path of one point has no length, and what has none is not drawn.
        if let [only] = self.points.as_slice() {
            let (x, y) = place(only);
            let _ = write!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"><title>{name}</title></circle>"
            );
            return;
        }
        let step = self.points.len().div_ceil(POINTS).max(1);
        let places = self.points.iter().step_by(step).map(place);
        let path: Vec<String> = places.map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        if !path.is_empty() {
            let _ = write!(
                svg,
                "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\"><title>{name}</title></path>",
                path.join("L")
            );
        }
    }
}

/// Values, and where in the picture they are.
#[derive(Clone, Copy, Debug, Default)]
struct Axis {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Axis {
    /// Of all these values, and of 0.
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let ends = |(from, to): (f64, f64), value: f64| (from.min(value), to.max(value));
        let (from, to) = values.fold((0.0, 0.0), ends);
        Self { from, to, ..Self::default() }
    }

    fn between(self, start: f64, end: f64) -> Self {
        Self { start, end, ..self }
    }

    fn place(&self, value: f64) -> f64 {
        self.start + (value - self.from) / (self.to - self.from).max(1e-9) * (self.end - self.start)
    }

    /// Four steps from end to end; where nothing but one value is, that.
    fn ticks(&self) -> Vec<f64> {
        if self.to <= self.from {
            return vec![self.from];
        }
        (0..=4).map(|i| self.from + (self.to - self.from) * f64::from(i) / 4.0).collect()
    }
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
        let along = Axis::over(points().map(|(x, _)| *x)).between(LEFT, WIDTH - RIGHT);
        let up = match self.range {
            Some((from, to)) => Axis { from, to, ..Axis::default() },
            None => Axis::over(points().map(|(_, y)| *y)),
        };
        let up = up.between(HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<figure><figcaption>{}</figcaption><svg width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            self.title, self.title
        );
        self.axes(&mut svg, &along, &up);
        for (line, colour) in self.lines.iter().zip(COLOURS) {
            line.draw(&mut svg, colour, &along, &up);
        }
        svg.push_str("</svg>");
        self.legend(&mut svg);
        svg.push_str("</figure>");
        svg
    }

    fn axes(&self, svg: &mut String, along: &Axis, up: &Axis) {
        for value in up.ticks() {
            let at = up.place(value);
            let _ = write!(
                svg,
                "<path d=\"M{LEFT} {at:.1}H{}\" stroke=\"#d8dee4\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 5.0,
                at + 4.0,
                tick(value)
            );
        }
        for value in along.ticks() {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                along.place(value),
                HEIGHT - BOTTOM + 14.0,
                tick(value)
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            HEIGHT - 6.0,
            self.unit
        );
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
        size if size >= 0.1 => format!("{x:.2}"),
        // What is rarely more than nothing would be the same at every tick.
        size if size >= 0.005 => format!("{x:.3}"),
        _ => format!("{x:.1e}"),
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

    fn drawn(points: &[(f64, f64)]) -> String {
        Plot::new("a", "minutes", vec![Line { name: "x".into(), points: points.to_vec() }]).svg()
    }

    #[test]
    fn a_single_point_is_seen() {
        let point = drawn(&[(2.0, 5.0)]);
        assert!(
            point.contains("<circle cx=\"450.0\" cy=\"8.0\"") && !point.contains("fill=\"none\""),
            "{point}"
        );
        assert!(!drawn(&[(2.0, 5.0), (3.0, 5.0)]).contains("<circle"));
    }

    #[test]
    fn an_axis_without_extent_has_one_tick() {
        let ticks = |svg: &str| svg.matches("<text").count() - 1;
        let zeros = drawn(&[(0.0, 0.0), (8.0, 0.0)]);
        assert!(ticks(&zeros) == 6 && zeros.contains(">0</text>") && !zeros.contains("0.00"), "{zeros}");
        assert_eq!(ticks(&drawn(&[])), 2);
    }

    #[test]
    fn what_was_before_the_beginning_is_inside_the_plot() {
        let joining = drawn(&[(-5.0, 1.0), (5.0, 2.0)]);
        assert!(joining.contains("d=\"M52.0 ") && joining.contains(">-5</text>"), "{joining}");
    }

    #[test]
    fn ticks_are_short() {
        assert_eq!([0.0, 0.25, 12.5, 25_000.0, 2e6].map(tick), ["0", "0.25", "12", "25k", "2.0M"]);
        assert_eq!([0.0125, 0.025, 0.00025].map(tick), ["0.013", "0.025", "2.5e-4"]);
    }
}
