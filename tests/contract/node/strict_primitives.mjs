// Stands in for the SDK's own primitives, which forgive a null or a missing value: here a type is what it says.
import * as z from "zod/v3";

export const string = () => z.string();
export const boolean = () => z.boolean();
export const number = () => z.number();
export const date = () => z.string().datetime({ offset: true });
export const literal = (value) => z.literal(value);
export const optional = (schema) => schema.optional();
export const nullable = (schema) => schema.nullable();
