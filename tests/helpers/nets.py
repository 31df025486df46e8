"""Source of user-defined factories, which tests write to a file."""

SOURCE = """
import keras


def functional(input_shape, classes, hidden_units=8, initializer="he_normal"):
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(hidden_units, activation="tanh", kernel_initializer=initializer)(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def sequential(input_shape, classes, initializer="he_normal"):
    dense = keras.layers.Dense(classes, kernel_initializer=initializer)
    return keras.Sequential([keras.layers.Flatten(), dense])


class Net(keras.Model):
    def __init__(self, classes, initializer="he_normal", **others):
        super().__init__(**others)
        self.classes, self.initializer = classes, initializer
        self.flatten = keras.layers.Flatten()
        self.normalise = keras.layers.BatchNormalization()
        self.out = keras.layers.Dense(classes, kernel_initializer=initializer)

    def call(self, x, training=False):
        return self.out(self.normalise(self.flatten(x), training=training))

    def get_config(self):
        return {**super().get_config(), "classes": self.classes, "initializer": self.initializer}


def subclassed(input_shape, classes, initializer="he_normal"):
    return Net(classes, initializer)


def compiled(input_shape, classes, initializer="he_normal"):
    model = functional(input_shape, classes, initializer=initializer)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss, metrics=["accuracy"])
    return model


def regression(input_shape, outputs):
    return keras.Sequential([keras.layers.Dense(outputs)])
"""

FACTORIES = ("functional", "sequential", "subclassed", "compiled")
"""The factories in SOURCE that make classifiers."""
