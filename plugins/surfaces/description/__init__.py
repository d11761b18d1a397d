"""What /openapi.json is made of: schemas of models, the operation of a view, and operations that surfaces share."""
