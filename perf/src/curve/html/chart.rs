//! A chart over the number of gateways, drawn as SVG.

use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, Color, DrawingArea, IntoDrawingArea, IntoFont, IntoTextStyle, SVGBackend,
};

use super::axis::{Axis, Scale};
use super::layer::{Backend, Drawn, Form, Layer, draw, key};
use super::palette::{GRID, INK};

/// Size of the drawing in its own units. They are large because coordinates are integers; the page scales the drawing.
const SIZE: (u32, u32) = (2000, 800);
const TEXT: u32 = 36;

pub struct Chart {
    /// Title of the vertical axis, with the unit.
    pub y_name: String,
    pub y_format: fn(f64) -> String,
    pub scale: Scale,
    pub gateways: Vec<u8>,
    /// From back to front.
    pub layers: Vec<Layer>,
}

impl Chart {
    /// Whether the chart has no visible layer.
    pub fn is_empty(&self) -> bool {
        !self.layers.iter().any(|layer| match &layer.form {
            Form::Line(points, _) => !points.is_empty(),
            Form::Bars(parts) => parts.iter().any(|(_, from, to)| from != to),
            Form::Dots(points) => !points.is_empty(),
            Form::Dashed(_) | Form::Spread(_) | Form::Level(_) => false,
        })
    }

    /// The view box of [`Chart::svg`].
    pub fn view_box() -> String {
        format!("0 0 {} {}", SIZE.0, SIZE.1)
    }

    /// The drawing as SVG.
    pub fn svg(&self) -> String {
        let mut text = String::new();
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        self.draw(&area).expect("writing to memory does not fail");
        drop(area);
        text
    }

    /// The name and the symbol of each layer.
    pub fn legend(&self) -> impl Iterator<Item = (&str, String)> {
        let layers = self.layers.iter();
        layers.map(|layer| (layer.name.as_str(), key(layer)))
    }

    fn draw<'a>(&self, area: &DrawingArea<Backend<'a>, Shift>) -> Drawn {
        let x = Axis::of_gateways(&self.gateways);
        let y = Axis::of(self.scale, self.values());
        let mut plane = ChartBuilder::on(area)
            .margin_top(20)
            .margin_right(12)
            .x_label_area_size(100)
            .y_label_area_size(170)
            .build_cartesian_2d(x, y)?;
        let label = ("sans-serif", TEXT).into_font().color(&INK.drawn());
        plane
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID.drawn().stroke_width(2))
            .light_line_style(plotters::style::TRANSPARENT)
            .axis_style(INK.drawn().stroke_width(2))
            .label_style(label.clone())
            .axis_desc_style(label.into_text_style(area))
            .x_desc("gateways per VPC")
            .y_desc(self.y_name.as_str())
            .x_label_formatter(&|count| format!("{count:.0}"))
            .y_label_formatter(&|value| (self.y_format)(*value))
            .draw()?;
        for layer in &self.layers {
            draw(&mut plane, layer)?;
        }
        Ok(())
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.layers.iter().flat_map(|layer| match &layer.form {
            Form::Line(points, _) | Form::Dashed(points) | Form::Dots(points) => {
                points.iter().map(|(_, y)| *y).collect()
            }
            Form::Spread(parts) | Form::Bars(parts) => parts
                .iter()
                .flat_map(|(_, from, to)| [*from, *to])
                .collect(),
            Form::Level(y) => vec![*y],
        })
    }
}
