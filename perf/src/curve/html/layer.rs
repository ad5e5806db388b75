//! The layers of a chart, and their drawing.

use plotters::chart::ChartContext;
use plotters::element::{Circle, EmptyElement, PathElement, Polygon};
use plotters::prelude::{
    Cartesian2d, ChartBuilder, Color, DashedLineSeries, DrawingAreaErrorKind, IntoDrawingArea,
    Rectangle, SVGBackend,
};

use super::axis::{Axis, Scale};
use super::palette::{Colour, PAGE};

/// Size of a layer's symbol in the legend.
const KEY: (u32, u32) = (84, 40);
/// Largest half width of a bar.
const HALF_BAR: f64 = 60.0;

/// One layer of a chart.
pub struct Layer {
    /// Name in the legend.
    pub name: String,
    pub colour: Colour,
    pub form: Form,
}

impl Layer {
    pub fn new(name: impl Into<String>, colour: Colour, form: Form) -> Layer {
        Layer {
            name: name.into(),
            colour,
            form,
        }
    }
}

/// The form of a layer. Points are (gateways, value).
pub enum Form {
    Line(Vec<(f64, f64)>, Shape),
    /// A wide dashed line, visible below a line at the same place.
    Dashed(Vec<(f64, f64)>),
    Dots(Vec<(f64, f64)>),
    /// Bars from the lowest to the highest value.
    Spread(Vec<(f64, f64, f64)>),
    /// Segments of stacked bars, from and to.
    Bars(Vec<(f64, f64, f64)>),
    /// One value for all numbers of gateways.
    Level(f64),
}

/// The mark of a point. Lines differ by their marks as well as by colour.
#[derive(Clone, Copy)]
pub enum Shape {
    Circle,
    Square,
    Diamond,
    Up,
    Down,
}

impl Shape {
    pub const ALL: [Shape; 5] = [
        Shape::Circle,
        Shape::Square,
        Shape::Diamond,
        Shape::Up,
        Shape::Down,
    ];

    /// Corners relative to the marked point; none for a circle.
    fn corners(self) -> Option<&'static [(i32, i32)]> {
        match self {
            Shape::Circle => None,
            Shape::Square => Some(&[(-12, -12), (12, -12), (12, 12), (-12, 12)]),
            Shape::Diamond => Some(&[(0, -17), (17, 0), (0, 17), (-17, 0)]),
            Shape::Up => Some(&[(0, -17), (16, 12), (-16, 12)]),
            Shape::Down => Some(&[(0, 17), (16, -12), (-16, -12)]),
        }
    }
}

pub type Backend<'a> = SVGBackend<'a>;
pub type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;
type Plane<'a> = ChartContext<'a, Backend<'a>, Cartesian2d<Axis, Axis>>;

/// The symbol of a layer in the legend.
pub fn key(layer: &Layer) -> String {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, KEY).into_drawing_area();
    let (x, y) = (
        Axis::of_gateways(&[1]),
        Axis::of(Scale::FromZero, [1.0].into_iter()),
    );
    ChartBuilder::on(&area)
        .build_cartesian_2d(x, y)
        .and_then(|mut plane| draw_key(&mut plane, layer))
        .expect("writing to memory does not fail");
    drop(area);
    text
}

fn draw_key<'a>(plane: &mut Plane<'a>, layer: &Layer) -> Drawn {
    let middle = (1.0, 0.5);
    let form = match &layer.form {
        Form::Line(_, shape) => {
            stroke(plane, vec![(0.5, 0.5), (1.5, 0.5)], layer.colour)?;
            Form::Line(vec![middle], *shape)
        }
        Form::Dashed(_) => Form::Dashed(vec![(0.5, 0.5), (1.5, 0.5)]),
        Form::Level(_) => Form::Level(0.5),
        Form::Dots(_) => Form::Dots(vec![middle]),
        Form::Spread(_) => Form::Spread(vec![(1.0, 0.0, 1.0)]),
        Form::Bars(_) => Form::Bars(vec![(1.0, 0.1, 0.9)]),
    };
    let (name, colour) = (String::new(), layer.colour);
    draw(plane, &Layer { name, colour, form })
}

fn stroke<'a>(plane: &mut Plane<'a>, points: Vec<(f64, f64)>, colour: Colour) -> Drawn {
    let style = colour.drawn().stroke_width(6);
    plane.draw_series([PathElement::new(points, style)])?;
    Ok(())
}

/// Draws a layer onto the plane of a chart.
pub fn draw<'a>(plane: &mut Plane<'a>, layer: &Layer) -> Drawn {
    let ends = plane.x_range();
    let axis = plane.as_coord_spec().y_spec().clone();
    let colour = layer.colour.drawn();
    let drawn = |(_, y): &(f64, f64)| axis.holds(*y);
    let placed = |points: &[(f64, f64)]| points.iter().copied().filter(drawn).collect::<Vec<_>>();
    let drawn = |(_, from, to): &(f64, f64, f64)| axis.holds(*from) && axis.holds(*to);
    let parts = |parts: &[(f64, f64, f64)]| parts.iter().copied().filter(drawn).collect::<Vec<_>>();
    let dashed = |points: Vec<(f64, f64)>, width: u32| {
        DashedLineSeries::new(points, 16, 12, colour.stroke_width(width))
    };
    match &layer.form {
        Form::Line(points, shape) => {
            let points = placed(points);
            stroke(plane, points.clone(), layer.colour)?;
            let style = colour.filled();
            match shape.corners() {
                None => {
                    plane.draw_series(points.into_iter().map(|at| Circle::new(at, 13, style)))?
                }
                Some(corners) => plane.draw_series(
                    points
                        .into_iter()
                        .map(|at| EmptyElement::at(at) + Polygon::new(corners.to_vec(), style)),
                )?,
            };
        }
        Form::Dashed(points) => {
            // A line of one point would be invisible.
            let points = match placed(points)[..] {
                [(x, y)] => vec![(x - 0.1, y), (x + 0.1, y)],
                ref more => more.to_vec(),
            };
            plane.draw_series(dashed(points, 18))?;
        }
        Form::Level(y) => {
            plane.draw_series(dashed(placed(&[(ends.start, *y), (ends.end, *y)]), 5))?;
        }
        Form::Dots(points) => {
            let dot = |point| Circle::new(point, 9, colour.mix(0.55).filled());
            plane.draw_series(placed(points).into_iter().map(dot))?;
        }
        Form::Spread(between) => {
            let line = |(x, low, high)| {
                PathElement::new(vec![(x, low), (x, high)], colour.mix(0.3).stroke_width(44))
            };
            plane.draw_series(parts(between).into_iter().map(line))?;
        }
        Form::Bars(between) => {
            let (width, _) = plane.plotting_area().dim_in_pixel();
            let one = f64::from(width) / (ends.end - ends.start);
            let half = (HALF_BAR / one).min(0.32);
            for (x, from, to) in parts(between) {
                let corners = [(x - half, from), (x + half, to)];
                plane.draw_series([
                    Rectangle::new(corners, colour.filled()),
                    Rectangle::new(corners, PAGE.drawn().stroke_width(3)),
                ])?;
            }
        }
    }
    Ok(())
}
